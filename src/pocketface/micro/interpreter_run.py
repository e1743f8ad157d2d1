"""Runs one `.tflite` file in TensorFlow Lite Micro's Python interpreter, as a program of its own.

    python interpreter_run.py FILE OUTPUTS < faces.npy > answers.npz

Reads N faces, `[N, H, W, C]` in the file's own type; writes the stored values of its outputs, `arr_0`,
`arr_1`, ..., each `[N, K]`, and to stderr the memory that was used. Imports no pocketface: it starts at once.
"""

import io
import sys

import numpy as np
from tflite_micro.python.tflite_micro import runtime

ARENA = 128 << 20
"""Bytes; more than any model here needs. What it needs is measured."""


def main() -> None:
    """Runs the file named on the command line."""
    faces = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=ARENA)
    outputs = int(sys.argv[2])
    answers: list[list[np.ndarray]] = [[] for _ in range(outputs)]
    for face in faces:
        interpreter.set_input(face[None], 0)
        interpreter.invoke()
        for place in range(outputs):
            answers[place].append(interpreter.get_output(place)[0])
    interpreter.print_allocations()
    written = io.BytesIO()
    np.savez(written, *map(np.stack, answers))
    sys.stdout.buffer.write(written.getvalue())


if __name__ == "__main__":
    main()
