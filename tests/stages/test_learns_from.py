import json
import runpy
import sys
from pathlib import Path

import pytest
import yaml

from pocketface.core.files import sha256
from tiny_training import study

STAGE = Path(__file__).parents[2] / "stages/learns_from.py"


@pytest.mark.parametrize("start", ["known", "elsewhere", "mine.h5", None])
def test_it_names_the_faces_and_the_start_weights_that_the_repository_holds(
    start: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = study().model_dump(mode="json", exclude_none=True)
    params["models"]["small"]["options"]["weights"] = start
    Path("params.yaml").write_text(yaml.safe_dump(params))
    about, files = {"title": "Known", "licence": "CC0"}, [{"mirror": "weights/x.h5"}]
    weights = {"known": about | {"kept": "weights/known.h5"}, "elsewhere": about | {"files": files}}
    Path("data/faces/utkface").mkdir(parents=True)
    Path("data/sources.yaml").write_text(yaml.safe_dump({"weights": weights}))
    used = [
        Path("data/faces/utkface/index.parquet"),
        *([Path("weights/known.h5")] if start == "known" else []),
    ]
    for path in used:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"some")
    monkeypatch.setattr(sys, "argv", ["learns_from.py", "small"])
    runpy.run_path(str(STAGE), run_name="__main__")
    found = json.loads(Path("data/learns_from/small.json").read_text())
    assert found == {path.as_posix(): sha256(path) for path in used}
