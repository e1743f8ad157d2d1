"""Stage `report`: turns what the graph measured into `reports/STUDY/`."""

from pocketface.errors import exit_cleanly
from pocketface.reporting.report import write_report
from pocketface.study import load_study


@exit_cleanly
def main() -> None:
    """Reads cards, evaluations, timings and face indexes; writes the report."""
    print(f"wrote {write_report(load_study()) / 'comparison.md'}")


if __name__ == "__main__":
    main()
