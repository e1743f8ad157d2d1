"""The web app: its bundle, its server."""

from pathlib import Path

BUNDLE = Path("app_bundle")
"""Where `export_app` writes what the page needs of a study, and where it is served from."""
INDEX = "index.json"
