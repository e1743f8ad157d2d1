"""Synthetic faces, drawn by a small published decoder, and photographs made of them.

How the decoder was trained, and what its faces are worth: `research/generator`.
"""
