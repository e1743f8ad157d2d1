"""Stage `convert@MODEL-LEVEL`: a trained model to one audited TFLite variant."""

import argparse
from pathlib import Path

from pocketface.core.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Makes variants/MODEL/LEVEL from models/MODEL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name under `models:` in params.yaml")
    parser.add_argument("level", help="a name under `levels:` in params.yaml")
    args = parser.parse_args()

    from pocketface.core.params import part
    from pocketface.tflite.convert import convert
    from pocketface.tflite.settings import LevelSettings
    from pocketface.training.runtime import limit_threads

    limit_threads(part(int, "threads"))  # the bytes of a fine-tuned level depend on it
    settings = part(LevelSettings, "levels", args.level)
    trained, views = Path("models") / args.model, Path("data/views") / args.model
    card = convert(trained, views, args.level, settings, Path("variants") / args.model / args.level)
    made = f"{card.size_bytes:,} bytes" if card.status == "ok" else f"{card.status}: {card.reason}"
    print(f"{args.model}/{args.level}: {made}")


if __name__ == "__main__":
    main()
