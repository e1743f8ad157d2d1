"""The web app: the page with its models and its runtime as a folder, and a server for it."""
