"""Face attributes that fit in a pocket."""
