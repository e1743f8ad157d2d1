"""How long a variant takes."""
