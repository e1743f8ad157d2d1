"""Which variant to take, and why: one rule for everybody who asks, and its answer in words."""
