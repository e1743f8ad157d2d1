"""Stage `export_app`: what the web app needs of the study's variants, into app_bundle."""

import argparse
import sys
from pathlib import Path

from pocketface.app import BUNDLE
from pocketface.app.bundle import detector_file, write
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
        with written_whole(BUNDLE) as partial:
            partial.mkdir(parents=True)
        print(f"{error}\n{BUNDLE}: empty; `dvc repro -f export_app` tries again", file=sys.stderr)
        return
    variants = [Path("variants") / model / level for model in study.models for level in study.levels]
    left_out = write(BUNDLE, study.study, variants, detector)
    print(f"{BUNDLE}: {len(variants) - len(left_out)} variants")
    for line in left_out:
        print(f"    not {line}")


if __name__ == "__main__":
    main()
