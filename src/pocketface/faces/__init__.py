"""Faces that were cropped: their index, copies among them, what a model sees of them and is measured on."""
