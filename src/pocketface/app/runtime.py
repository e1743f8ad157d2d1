"""LiteRT.js, which runs the models in the page: fetched once from npm's registry, without npm, and kept."""

import gzip
import os
import tarfile
from pathlib import Path

from pocketface.core.files import alone, written_whole
from pocketface.fetching.obtain import obtain
from pocketface.fetching.sources import File, Https, Source

VERSION = "2.5.3"
PACKAGE = f"core-{VERSION}.tgz"
SOURCE = Source(
    title="LiteRT.js",
    home="https://www.npmjs.com/package/@litertjs/core",
    licence="Apache-2.0",
    files=(
        File(
            mirror=f"litertjs/{PACKAGE}",
            size=11_817_097,
            sha256="a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd",
            upstream=(Https(kind="https", url=f"https://registry.npmjs.org/@litertjs/core/-/{PACKAGE}"),),
        ),
    ),
)
BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal", "litert_wasm_threaded_internal")
"""With relaxed SIMD, without, and with threads."""


def runtime() -> Path:
    """The folder with `index.js` and, per build, `NAME.js` and `NAME.wasm.gz`; fetched if it is not kept yet.

    Raises:
        PocketfaceError: npm's registry and `POCKETFACE_MIRROR` are out of reach, or gave another file.
    """
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pocketface"
    folder = kept / f"litert-{VERSION}"
    with alone(folder):
        if not folder.is_dir():
            (archive,) = obtain(SOURCE, kept)
            _unpack(archive.parts[0], folder)
    return folder


def _unpack(package: Path, folder: Path) -> None:
    with tarfile.open(package) as packed, written_whole(folder, folder=True) as partial:

        def member(name: str) -> bytes:
            found = packed.extractfile(f"package/{name}")
            assert found is not None  # its hash is known, and so is what it holds
            return found.read()

        # What the module imports from another npm package, the page has a way of its own for.
        index = member("dist/index.js").replace(b'"@litertjs/wasm-utils"', b'"../wasm.js"')
        (partial / "index.js").write_bytes(index.rpartition(b"//# sourceMappingURL")[0])
        for build in BUILDS:
            (partial / f"{build}.js").write_bytes(member(f"wasm/{build}.js"))
            wasm = gzip.compress(member(f"wasm/{build}.wasm"), mtime=0)
            (partial / f"{build}.wasm.gz").write_bytes(wasm)
