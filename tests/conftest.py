"""What several test modules need: tiny models, made once."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import visit
from xdist.scheduler import LoadFileScheduling

# Before NumPy is imported: threads that multiply small matrices mostly wait, and keep a core busy with it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Each `dvc` would start another process that reports its use.
os.environ["DVC_NO_ANALYTICS"] = "1"

SIZE = 48
HEAVY = (
    "pipeline/test_pipeline",
    "bring/test_wizard bring/test_brought_levels bring/test_pixel_finder docs/test_your_model"
    " importing/test_network tflite/test_sound",
    "tracking/test_publish tracking/test_champion tracking/test_store tracking/test_packing"
    " report/test_report report/test_page test_studies",
    "levels/test_convert levels/test_recipes levels/test_export tflite/test_versions micro/test_measure"
    " test_explain",
    "gate/test_gate",
    "training/test_fit",
    "training/test_checkpoints",
    "test_cli",
    "cropping/test_build",
    "fuzz/test_fuzz",
    "models/test_transfer",
    "test_running",
    "models/test_levels",
    "gate/test_planted",
    "levels/test_mixed",
    "importing/test_teachers",
    "training/test_folds",
    "docs/test_commands",
    "cropping/test_picture",
    "test_lockfile",
    "fetching/test_archives",
    "fetching/test_fetch_data",
    "cropping/test_detect",
)
"""Files that take longest, to be begun first: what is begun last decides when all are done. Those of one text
share what takes long to make (a process with TensorFlow, a network, a report), and so a worker."""
TOGETHER = {f"tests/{name}.py": names for names in HEAVY for name in names.split()}


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: some tests wait for processes of their own."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what drives Chromium; puts the heavy files first, pytest-xdist hands files out in this order."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
    places = {name: place for place, name in enumerate(TOGETHER)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


class Together(LoadFileScheduling):
    """Hands files out to workers, and those of one text of `HEAVY` to the same."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return TOGETHER.get(file, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-seconds", type=int, default=2, help="for each target of tests/fuzz")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program; where there is none the test is skipped, or fails if CI requires it."""
    if visit.CHROMIUM is None:
        missing = pytest.fail if os.environ.get("BROWSER_TESTS") == "required" else pytest.skip
        missing("no Chromium here: `apt-get install chromium`")
    return visit.CHROMIUM


def _convert(folder: Path, answers: Callable) -> Path:
    """A `.tflite` file with input `image` `[1, SIZE, SIZE, 3]`.

    Its answers are computed from the mean red, green and blue, each `[1, 1]` and a share of 255.
    """
    import tensorflow as tf

    class Colour(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, name="image")])
        def serve(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            return answers(tf, *tf.split(tf.reduce_mean(image, [1, 2]) / 255, 3, axis=1))

    model = Colour()
    tf.saved_model.save(model, folder / "saved", signatures={"serving_default": model.serve})
    file = folder / "colour.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert())
    return file


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers from a picture's mean colour, so a test can paint the answer.

    Age is 100 times the red, the probability of female is the green; neutral has 0.5, and the blue shares the
    rest between sad (all blue) and happy (no blue).
    """

    def answers(tf, red, green, blue):
        none = tf.zeros_like(red)
        expression = [none, none, none, (1 - blue) / 2, blue / 2, none, none + 0.5]
        return {
            "age": 100 * red,
            "gender": tf.concat([1 - green, green], 1),
            "expression": tf.concat(expression, 1),
        }

    return _convert(tmp_path_factory.mktemp("colour"), answers)


@pytest.fixture(scope="session")
def odd_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose only answer nothing here knows."""
    return _convert(
        tmp_path_factory.mktemp("odd"), lambda tf, red, green, blue: {"beauty": red + green + blue}
    )


@dataclass(frozen=True)
class Levels:
    """The folders of a small trained model, as the stages leave them."""

    trained: Path
    views: Path
    exported: Path
    variants: Path

    @property
    def source(self) -> tuple[Path, Path]:
        """What `convert` reads."""
        return self.exported, self.views


@pytest.fixture(scope="session")
def levels(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Levels:
    """A trained model at all levels: trained, exported and converted once in a run of the tests."""
    from pocketface.core.files import alone

    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "levels"
    made = Levels(*(root / name for name in ("models", "views", "exported", "variants")))
    with alone(root):
        if not (root / "done").exists():
            script = Path(__file__).with_name("making_levels.py")
            command = [sys.executable, str(script), str(root)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-2000:]
            (root / "done").touch()
    return made
