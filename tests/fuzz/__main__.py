"""Feeds what reads somebody else's files with damaged ones, by atheris (libFuzzer, guided by coverage).

    python tests/fuzz picture 3600       # seconds; or card, archive, tflite
    python tests/fuzz picture,card 3600  # one after the other, each in a fork
    python tests/fuzz picture FILE       # one input again

Any exception but ours, a crash, an answer that cannot be, 25 seconds or 3 GB for one input are findings: it
ends with `Test unit written to FILE`. What reached new code stays in ~/.cache/pocketface-fuzz.
"""

import os
import random
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
INSTRUMENTED = ["pocketface.core", "pocketface.cards", "pocketface.cropping.picture", "pocketface.fetching"]
INSTRUMENTED += ["pocketface.tflite.sound", "pocketface.tflite.meaning", "pocketface.tflite.run", "PIL"]
INSTRUMENTED += ["zipfile", "tarfile", "json"]
with atheris.instrument_imports(include=INSTRUMENTED):
    import mutating
    import targets

CORPUS = Path.home() / ".cache" / "pocketface-fuzz"


def main(name: str, given: str) -> None:
    """Runs one target for so many seconds, or with one file."""
    check, seeds = targets.TARGETS[name]
    options = ["-timeout=25", "-rss_limit_mb=3000", "-max_len=200000", f"-artifact_prefix={CORPUS}/"]
    if given.isdecimal():
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds()):
            (CORPUS / name / f"seed-{number}").write_bytes(seed)
        options += [f"-max_total_time={given}", str(CORPUS / name)]
    else:
        options.append(given)
    honest, change = seeds(), mutating.MUTATORS.get(name)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        """By bytes, and every other time by values."""
        if change is None or seed % 2:
            return bytes(atheris.Mutate(data, most))
        return change(honest, random.Random(seed))[:most]

    with tempfile.TemporaryDirectory() as folder:
        atheris.Setup([sys.argv[0], *options], lambda data: check(data, Path(folder)), custom_mutator=mutated)
        atheris.Fuzz()


def each(names: str, given: str) -> int:
    """Runs targets one after the other until one has a finding; its exit status."""
    for name in names.split(","):
        if not (child := os.fork()):
            main(name, given)
            os._exit(0)
        if status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(each(*sys.argv[1:]))
