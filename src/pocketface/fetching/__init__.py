"""Fetching: from `data/sources.yaml` to one plain zip per dataset.

archives = obtain(load_sources().dataset("utkface"))    # archives folder, mirror, upstream
pack(archives, Path("data/raw/utkface/files.zip"))      # checked member by member
"""
