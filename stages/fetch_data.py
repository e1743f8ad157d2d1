"""fetch_data: `data/sources.yaml` -> `data/raw/DATASET/files.zip`, fetched or rendered."""

from pathlib import Path

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.params import argument
from pocketface.fetching.archives import pack
from pocketface.fetching.obtain import obtain_dataset
from pocketface.fetching.sources import load_sources


@exit_cleanly
def main() -> None:
    """Obtains a dataset's archives and packs their members into one plain zip; or renders its photographs."""
    name = argument("dataset", "a name under `datasets` in data/sources.yaml", __doc__)

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
