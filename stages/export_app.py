"""Stage `export_app`: what the web app needs of the study's variants, into app_bundle."""

import argparse
import sys

from pocketface.app.bundle import detector_file, write
from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.files import written_whole
from pocketface.fetching.obtain import Unavailable
from pocketface.study import load_study


@exit_cleanly
def main() -> None:
    """Bundles every variant of the study; one that the page cannot run is told with its reason.

    Where the page's face detector is out of reach, the bundle is empty and the rest of the study goes on.
    """
    argparse.ArgumentParser(description=__doc__).parse_args()
    study = load_study()
    try:
        detector = detector_file()
    except Unavailable as error:
        with written_whole(outs.BUNDLE) as partial:
            partial.mkdir(parents=True)
        print(f"{error}\n{outs.BUNDLE}: empty; `dvc repro -f export_app` tries again", file=sys.stderr)
        return
    variants = [outs.VARIANTS / model / level for model in study.models for level in study.levels]
    left_out = write(outs.BUNDLE, study.study, variants, detector)
    print(f"{outs.BUNDLE}: {len(variants) - len(left_out)} variants")
    for line in left_out:
        print(f"    not {line}")


if __name__ == "__main__":
    main()
