"""Stage `export@MODEL`: a trained model to its float32 file, of which every level is made."""

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.params import argument, part


@exit_cleanly
def main() -> None:
    """Makes exported/MODEL from models/MODEL."""
    name = argument("model", "a name under `models:` or `fetched:` in params.yaml", __doc__)

    from pocketface.levels.export import export
    from pocketface.training.runtime import limit_threads

    limit_threads(part(int, "threads"))
    card = export(outs.MODELS / name, outs.VIEWS / name, outs.EXPORTED / name)
    print(f"{name}: {'exported' if card.status == 'ok' else f'{card.status}: {card.reason}'}")


if __name__ == "__main__":
    main()
