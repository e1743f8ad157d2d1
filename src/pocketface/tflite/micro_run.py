"""Runs one `.tflite` file in TensorFlow Lite Micro's Python interpreter, as a program of its own.

Reads `{"dtype", "values"}` of the input from stdin, writes the outputs as JSON to stdout and the memory that
was used to stderr. Imports nothing of pocketface, so that it starts at once.
"""

import json
import sys

import numpy as np
from tflite_micro.python.tflite_micro import runtime

ARENA = 128 << 20
"""Bytes; more than any model here needs. What it needs is measured."""


def main() -> None:
    """Runs the file named on the command line."""
    given = json.load(sys.stdin)
    interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=ARENA)
    interpreter.set_input(np.array(given["values"], given["dtype"]), 0)
    interpreter.invoke()
    interpreter.print_allocations()
    outputs: list[dict] = []
    while True:
        try:
            details = interpreter.get_output_details(len(outputs))
        except (IndexError, RuntimeError, ValueError):
            break
        scales, zeros = (details["quantization_parameters"][key] for key in ("scales", "zero_points"))
        values = interpreter.get_output(len(outputs))
        outputs.append(
            {
                "dtype": values.dtype.name,
                "scale": float(scales[0]) if len(scales) else 0.0,
                "zero_point": int(zeros[0]) if len(zeros) else 0,
                "values": values.tolist(),
            }
        )
    json.dump(outputs, sys.stdout)


if __name__ == "__main__":
    main()
