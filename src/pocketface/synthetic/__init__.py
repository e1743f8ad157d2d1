"""Synthetic faces, drawn by a small published decoder, and photographs made of them.

    decoder = Decoder(folder() / "faces-generator")
    faces = decoder(noise, conditions)                     # uint8 [N, 56, 56, 3]
    render(Path("data/raw/starter/files.zip"), 2000, 7, folder() / "faces-generator")

    conditions      labels as the numbers that the decoder takes; the prior they are drawn from
    decoder         running the decoder
    scenes          a photograph around a face
    render          a dataset of photographs

How the decoder was trained, and what its faces are worth: `research/generator`.
"""
