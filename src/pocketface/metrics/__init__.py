"""What answers are worth: their table, and the metrics of it."""
