"""What a variant's answers are worth: metrics, per group, on face sets and on labelled pictures."""
