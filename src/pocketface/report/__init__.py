"""What people read of a study: one page, one text, and plots, all from the results table."""
