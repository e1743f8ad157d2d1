"""Stage `export@MODEL`: a trained model to its float32 file, of which every level is made."""

import argparse

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Makes exported/MODEL from models/MODEL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name under `models:` or `fetched:` in params.yaml")
    name = parser.parse_args().model

    from pocketface.core.params import part
    from pocketface.levels.export import export
    from pocketface.training.runtime import limit_threads

    limit_threads(part(int, "threads"))
    card = export(outs.MODELS / name, outs.VIEWS / name, outs.EXPORTED / name)
    print(f"{name}: {'exported' if card.status == 'ok' else f'{card.status}: {card.reason}'}")


if __name__ == "__main__":
    main()
