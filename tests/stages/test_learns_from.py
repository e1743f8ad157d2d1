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
    fetched = {"start": [["weights/x.h5", None, None, None]]} if start == "elsewhere" else {}
    assert found == {path.as_posix(): sha256(path) for path in used} | fetched


def test_the_order_of_a_mix_and_terms_are_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = study().model_dump(mode="json", exclude_none=True)
    params["datasets"]["celeba"] = params["datasets"]["utkface"]
    params["models"]["small"]["dataset"] = "mix"
    for name in ("utkface", "celeba"):
        Path("data/faces", name).mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["learns_from.py", "small"])
    found = set()
    for mix, licence in (("utkface celeba", "CC0"), ("celeba utkface", "CC0"), ("celeba utkface", "mine")):
        about = {"title": "", "about": "", "labels": [], "licence": licence, "files": [{"mirror": "x.zip"}]}
        Path("data/sources.yaml").write_text(yaml.safe_dump({"datasets": {"celeba": about}}))
        Path("params.yaml").write_text(yaml.safe_dump(params | {"mix": mix.split()}))
        runpy.run_path(str(STAGE), run_name="__main__")
        found.add(Path("data/learns_from/small.json").read_text())
    assert len(found) == 3
