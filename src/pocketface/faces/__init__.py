"""Faces: decode a picture, find the face, cut it out, keep what is known of it."""
