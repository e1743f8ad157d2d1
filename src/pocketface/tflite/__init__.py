"""TFLite files: what they hold and mean, whether they are sound, running them."""
