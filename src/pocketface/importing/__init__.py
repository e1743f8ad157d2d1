"""Importing: published weights, as others keep them, into our architectures.

    folder = fetch(study, "dlib_age", Path("models/dlib_age"))

- `fetch` is the whole way: obtain the file, check it, import it, write card and weights.
- `hdf5`, `onnx_graph` and `tfjs` read the layers that were learned; `layers` assigns them by name and shape.
- `network` reads a whole network of somebody else, `own` makes a model of it.

The files are not trusted: sizes and hashes are those of `data/sources.yaml`, no code in them is run, and an
array is read only if it has the shape of the architecture.
"""
