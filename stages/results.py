"""Stage `results`: measures every variant's answers, once, for report, gate, `choose` and `track`."""

from pocketface.core.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Writes results/results.parquet."""
    from pocketface.core.params import part
    from pocketface.metrics.settings import Margins
    from pocketface.results.measure import measure
    from pocketface.results.table import RESULTS
    from pocketface.training.settings import Plan

    plan = part(Plan)
    own = {model: plan.trained_on(model) for model in plan.models}
    table = measure(own, list(part(dict, "levels")), part(Margins, "margins"), by=part(list[str], "groups"))
    table.write(RESULTS)
    print(f"wrote {RESULTS}: {len(table.rows):,} rows on {len(table.models)} models")


if __name__ == "__main__":
    main()
