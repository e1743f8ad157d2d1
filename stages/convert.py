"""Stage `convert@MODEL-LEVEL`: an exported model to one audited TFLite variant."""

import argparse

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Makes variants/MODEL/LEVEL from exported/MODEL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name under `models:` in params.yaml")
    parser.add_argument("level", help="a name under `levels:` in params.yaml")
    args = parser.parse_args()

    from pocketface.core.params import part
    from pocketface.levels.convert import convert
    from pocketface.levels.settings import LevelSettings

    settings, threads = part(LevelSettings, "levels", args.level), part(int, "threads")
    exported, views, out = (place / args.model for place in (outs.EXPORTED, outs.VIEWS, outs.VARIANTS))
    card = convert(exported, views, args.level, settings, out / args.level, threads)
    made = f"{card.size_bytes:,} bytes" if card.status == "ok" else f"{card.status}: {card.reason}"
    print(f"{args.model}/{args.level}: {made}")


if __name__ == "__main__":
    main()
