"""From pictures to packed, aligned faces."""
