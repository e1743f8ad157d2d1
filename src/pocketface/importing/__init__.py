"""Importing: published weights, as others keep them, into our architectures.

`fetch` is the whole way; `hdf5` and `onnx_graph` read layers, `layers` assigns them by name and shape;
`network` reads a whole network of somebody else, `own` makes a model of it. No code in a file is run.
"""
