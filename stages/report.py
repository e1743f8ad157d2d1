"""Stage `report`: turns the results into `reports/STUDY/`."""

from pocketface.core.errors import exit_cleanly
from pocketface.report.report import write_report
from pocketface.study import load_study


@exit_cleanly
def main() -> None:
    """Reads results, cards, answers, timings and face indexes; writes the report."""
    print(f"wrote {write_report(load_study())}")


if __name__ == "__main__":
    main()
