"""Stage `imports`: what the script of each stage imports of ours, by hash, in data/imports/STAGE.json.

A stage depends on its file, which changes when something does that it imports, and then only.
"""

from pathlib import Path

import pocketface
from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.files import sha256, write_json, written_whole
from pocketface.core.imports import closure


@exit_cleanly
def main() -> None:
    """Writes data/imports."""
    package = Path("src", pocketface.__name__)
    with written_whole(outs.IMPORTS) as partial:
        for script in sorted(Path("stages").glob("*.py")):
            files = {file.as_posix(): sha256(file) for file in closure(script, package)}
            write_json(partial / f"{script.stem}.json", files)


if __name__ == "__main__":
    main()
