"""Stage `export_app`: what the web app needs of the study's variants, into app_bundle."""

import argparse
from pathlib import Path

from pocketface.app import BUNDLE
from pocketface.app.bundle import detector_file, write
from pocketface.errors import exit_cleanly
from pocketface.study import load_study


@exit_cleanly
def main() -> None:
    """Bundles every variant of the study; one that the page cannot run is told with its reason."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    study = load_study()
    variants = [Path("variants") / model / level for model in study.models for level in study.levels]
    left_out = write(BUNDLE, study.study, variants, detector_file())
    print(f"{BUNDLE}: {len(variants) - len(left_out)} variants")
    for line in left_out:
        print(f"    not {line}")


if __name__ == "__main__":
    main()
