import gzip
import io
import tarfile
from pathlib import Path

import pytest

from pocketface.app import runtime
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256

INDEX = b'import { createWasmLib } from "@litertjs/wasm-utils";\n//# sourceMappingURL=index.js.map'


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Path:
    """A mirror with a package like npm's; nothing is kept yet."""
    file = tmp_path / "mirror/litertjs" / runtime.PACKAGE
    file.parent.mkdir(parents=True)
    content = {"package/dist/index.js": INDEX, "package/postinstall.js": b"never"}
    for build in runtime.BUILDS:
        content |= {f"package/wasm/{build}.js": b"glue", f"package/wasm/{build}.wasm": b"\0asm" * 99}
    with tarfile.open(file, "w:gz") as package:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            package.addfile(member, io.BytesIO(data))
    known = {"size": file.stat().st_size, "sha256": sha256(file), "upstream": ()}
    files = tuple(found.model_copy(update=known) for found in runtime.SOURCE.files)
    monkeypatch.setattr(runtime, "SOURCE", runtime.SOURCE.model_copy(update={"files": files}))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("POCKETFACE_MIRROR", str(tmp_path / "mirror"))
    return file


def test_it_is_unpacked_and_its_builds_are_compressed(mirror):
    folder = runtime.runtime()
    names = {f"{build}.{ending}" for build in runtime.BUILDS for ending in ("js", "wasm.gz")}
    assert {path.name for path in folder.iterdir()} == names | {"index.js"}
    assert (folder / "index.js").read_bytes() == b'import { createWasmLib } from "../wasm.js";\n'
    packed = (folder / f"{runtime.BUILDS[0]}.wasm.gz").read_bytes()
    assert gzip.decompress(packed) == b"\0asm" * 99
    assert len(packed) < 99


def test_it_is_fetched_once_and_kept(mirror):
    first = runtime.runtime()
    mirror.unlink()
    assert runtime.runtime() == first


def test_another_package_is_refused(mirror):
    mirror.write_bytes(bytes(mirror.stat().st_size))
    with pytest.raises(PocketfaceError, match="SHA-256"):
        runtime.runtime()


def test_what_cannot_be_had_is_told(mirror):
    mirror.unlink()
    with pytest.raises(PocketfaceError, match="could not be had anywhere"):
        runtime.runtime()
