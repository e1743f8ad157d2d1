"""Stage `fetch_weights@MODEL`: published weights, instead of training, to models/MODEL.

A file that cannot be had is no error: the model's card says so, and its variants are rows that do.
"""

from pocketface.core import outs
from pocketface.core.errors import PocketfaceError, exit_cleanly
from pocketface.core.params import argument, part


@exit_cleanly
def main() -> None:
    """Fetches, checks and imports the weights of the named model of params.yaml."""
    name = argument("model", "a name under `fetched:` in params.yaml", __doc__)

    from pocketface.fetching.sources import load_sources
    from pocketface.importing.fetch import fetch
    from pocketface.training.settings import Plan

    plan = part(Plan)
    if name not in plan.fetched:
        raise PocketfaceError(
            f"params.yaml: no model {name!r} under `fetched`; there are {list(plan.fetched)}"
        )
    card = fetch(plan, name, load_sources(), outs.MODELS / name)
    made = f"{card.parameters:,} weights" if card.status == "ok" else f"{card.status}: {card.reason}"
    print(f"{name}: {made}")


if __name__ == "__main__":
    main()
