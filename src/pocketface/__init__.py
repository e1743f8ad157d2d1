"""Face attributes that fit in a pocket."""

import os

# TensorFlow reads it when it loads: warnings and errors only.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
