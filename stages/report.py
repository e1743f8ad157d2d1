"""Stage `report`: turns what the graph measured into `reports/STUDY/`."""

from pocketface.core.errors import exit_cleanly
from pocketface.reporting.quantization import write_quantization
from pocketface.reporting.report import write_report
from pocketface.reporting.results import Results
from pocketface.study import load_study


@exit_cleanly
def main() -> None:
    """Reads cards, evaluations, timings and face indexes; writes the report."""
    study = load_study()
    folder = write_report(study)
    written = write_quantization(Results.load(study), folder)
    print(f"wrote {folder / 'comparison.md'} and {written}")


if __name__ == "__main__":
    main()
