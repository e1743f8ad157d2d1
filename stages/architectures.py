"""Records what the architectures of a study reach, in reports/models/.

    dvc repro train                                    # or cross_validate
    python stages/architectures.py

Not a stage of the graph: it gathers the figures of several studies, and a checkout holds one at a time. Run
it where the study ran; `--out` may lie in another checkout. See `pocketface.reporting.records`.
"""

import argparse
from pathlib import Path

from pocketface.core.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Writes the record and the curves of the study in params.yaml, and the page of all studies anew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("reports/models"))
    parser.add_argument("--sweep", type=Path, help="what `dvc exp show --csv` wrote: record its experiments")
    arguments = parser.parse_args()

    from pocketface.reporting.architectures import save
    from pocketface.reporting.records import comment_of, make_record
    from pocketface.study import PARAMS, load_study

    record, curves = make_record(load_study(), about=comment_of(PARAMS), sweep=arguments.sweep)
    print(f"wrote {save(record, curves, arguments.out)}")


if __name__ == "__main__":
    main()
