"""Fetching: from `data/sources.yaml` to one plain zip per dataset.

    source = load_sources().dataset("utkface")          # sources: what there is, and under which terms
    archives = obtain(source)                           # obtain: archives folder, mirror, upstream
    pack(archives, Path("data/raw/utkface/files.zip"))  # archives: checked member by member

`download` is the HTTP client, `clients` the wrappers of Google Drive, Kaggle and PyPI, `status` what
`pocketface data list` prints.
"""
