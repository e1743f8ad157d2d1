"""Importing: published weights, as others keep them, into our architectures.

`fetch` is the whole way; `hdf5` and `onnx_graph` read the layers that were learned, `layers` assigns them
by name and shape; `network` reads a whole network of somebody else, `own` makes a model of it. The files
are not trusted: sizes and hashes are those of `data/sources.yaml`, and no code in them is run.
"""
