"""TFLite files: the levels, what they hold, running them."""
