"""Fails if a locked package has a known vulnerability that a newer version mends.

    python3 .ci/audit.py        # what it is given goes to `uv audit`

Asks OSV through `uv audit`, of all extras and groups. Exit status 1: there are such; 2: nothing could
be learned. A vulnerability without a fix is only printed.
"""

import json
import subprocess
import sys

COMMAND = "uv audit --frozen --quiet --preview-features audit,json-output --output-format json".split()


def main(more: list[str]) -> int:
    """Prints what is known; the exit status."""
    asked = subprocess.run([*COMMAND, *more], capture_output=True, text=True)
    if asked.returncode not in (0, 1):
        print(f"not audited: {asked.stderr.strip()}", file=sys.stderr)
        return 2
    mendable = 0
    try:
        found = json.loads(asked.stdout)
        for hole in found["vulnerabilities"]:
            package, fixes = hole["dependency"], hole["fix_versions"]
            mended = f"fixed in {' or '.join(fixes)}" if fixes else "no fix yet"
            print(f"{package['name']} {package['version']}: {hole['id']}, {mended}: {hole['summary']!r}")
            mendable += bool(fixes)
        print(f"{found['summary']['audited_packages']} packages, {mendable} vulnerabilities that have a fix")
    except (ValueError, KeyError) as error:
        print(f"not audited: this uv answers otherwise than that of .ci/uv.txt ({error!r})", file=sys.stderr)
        return 2
    return 1 if mendable else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
