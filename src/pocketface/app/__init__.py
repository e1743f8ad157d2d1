"""The web app: its bundle, its server."""

INDEX = "index.json"
