"""fetch_data: `data/sources.yaml` -> `data/raw/DATASET/files.zip`, fetched or rendered."""

import argparse
from pathlib import Path

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.fetching.archives import pack
from pocketface.fetching.obtain import obtain_dataset
from pocketface.fetching.sources import load_sources


@exit_cleanly
def main() -> None:
    """Obtains a dataset's archives and packs their members into one plain zip; or renders its photographs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", help="a name under `datasets` in data/sources.yaml")
    name = parser.parse_args().dataset

    source = load_sources().dataset(name)
    target = Path(outs.RAW, name, "files.zip")
    if source.rendered:
        from pocketface.synthetic.render import render  # it loads a good deal

        rendered = source.rendered
        count = render(target, rendered.photographs, rendered.seed, Path(rendered.generator))
    else:
        count = pack(obtain_dataset(name, source), target, source.limits)
    print(f"{target}: {count} files")


if __name__ == "__main__":
    main()
