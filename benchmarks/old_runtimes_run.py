"""Runs one file in the TFLite runtime of the Python that runs this: `FILE PICTURES.npy ANSWERS.npz`.

Imports nothing of pocketface, and is written for Python 3.8. A file that the runtime refuses ends it with
status 3 and the runtime's words.
"""

import sys

import numpy as np

try:
    from tflite_runtime.interpreter import Interpreter
except ImportError:
    from ai_edge_litert.interpreter import Interpreter


def main(file, pictures, answers):
    """Writes the outputs, each float32 `[N, K]`, for uint8 pictures `[N, H, W, C]`."""
    try:
        interpreter = Interpreter(model_path=file)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(3)
    image, outputs = interpreter.get_input_details()[0], interpreter.get_output_details()
    found = [[] for _ in outputs]
    for picture in np.load(pictures):
        value = picture[None].astype(np.int64) - (128 if image["dtype"] == np.int8 else 0)
        interpreter.set_tensor(image["index"], value.astype(image["dtype"]))
        interpreter.invoke()
        for output, rows in zip(outputs, found):  # noqa: B905, Python 3.8
            scale, zero_point = output["quantization"]
            answer = interpreter.get_tensor(output["index"]).astype(np.float32)
            rows.append((answer - zero_point) * scale if scale else answer)
    np.savez(answers, *(np.concatenate(rows) for rows in found))


if __name__ == "__main__":
    main(*sys.argv[1:])
