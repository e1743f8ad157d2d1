"""Faces of nobody: a small conditional generator, and photographs made of what it draws.

    decoder = Decoder(folder())                            # weights/faces-generator
    faces = decoder(noise, conditions)                     # [N, 56, 56, 3] of nobody
    render(Path("data/raw/starter/files.zip"), photographs=3000, seed=7)

A conditional variational auto-encoder learns aligned faces from UTKFace (true age and gender) and FER2013
(true expression). What ships is its decoder, a `.tflite` file that takes standard normal noise and the wanted
labels. `docs/generator.md` tells how it is made and what it is worth.

    conditions      labels as the numbers that the decoder takes; the prior they are drawn from
    canvases        training faces, aligned, with room around them
    networks        encoder, decoder, critic
    recipe          how they are trained and measured
    learn           the training
    density         the latents' distribution; the decoder as a file
    decoder         running that file
    scenes          a photograph around a face
    render          a dataset of photographs
    measure         what the faces are worth
"""
