"""What a person reads: the comparison of a study's variants, as tables and plots."""
