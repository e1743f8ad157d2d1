"""Importing: published weights, as others keep them, into our architectures.

    folder = fetch(study, "dlib_age", Path("models/dlib_age"))

- `network` reads a whole network of somebody's own, `own` makes a model of it.
- `hdf5` reads what Keras 2 wrote, `onnx_graph` an ONNX graph; both give the layers that were learned.
- `layers` puts them into a model of ours, one by one, by name and shape.
- `fetch` is the whole way: obtain the file, check it, import it, write card and weights.

The files are not ours and are not trusted: they are checked against the sizes and hashes of
`data/sources.yaml`, no code in them is read, and an array is read only after its shape
turned out to be the one that the architecture has at that place.
"""
