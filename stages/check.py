"""Stage `check`: fails, with exit status 1, when the study's figures are not those of its baseline."""

import sys

from pocketface.errors import exit_cleanly
from pocketface.gate import check
from pocketface.study import load_study


@exit_cleanly
def main() -> None:
    """Compares, prints what is wrong, writes `reports/STUDY/check.json`."""
    verdict = check(load_study())
    print(verdict.text())
    sys.exit(0 if verdict.passed else 1)


if __name__ == "__main__":
    main()
