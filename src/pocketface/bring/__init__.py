"""Bring your own model, bring your own faces.

- `wizard`: `pocketface quantize`; `heads` says which output answers which label, `finder` how pixels were
  prepared.
- `faces`: `pocketface data add`.
"""
