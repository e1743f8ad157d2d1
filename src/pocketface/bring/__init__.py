"""Bring your own model, bring your own faces.

- `heads`: which output of a file answers which label, and how.
- `finder`: how the pixels of a network were prepared, tried out on labelled pictures.
- `wizard`: `pocketface quantize`, the whole job for one model without DVC.
- `faces`: `pocketface data add`, one's own pictures as a dataset of a study.
"""
