"""Stage `harness@DATASET`: photographs as a careless harness shows them, beside the faces found in them."""

import argparse

from pocketface.core.errors import exit_cleanly
from pocketface.reporting.harness import write_harness
from pocketface.study import load_study


@exit_cleanly
def main() -> None:
    """Writes harness.md and harness.json into reports/STUDY."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", help="a name under `harness:` in params.yaml")
    print(f"wrote {write_harness(load_study(), parser.parse_args().dataset)}")


if __name__ == "__main__":
    main()
