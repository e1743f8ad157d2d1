import json
import re

import pytest

from fake_outs import STUDY, write_outs
from pocketface.cards import VariantCard, read_card, write_card
from pocketface.reporting.plots import Point
from pocketface.reporting.quantization import front, write_quantization
from pocketface.reporting.results import Results

SEARCHED = {
    "size_ratio": 0.29,
    "ranges": "minmax",
    "calibration_faces": 100,
    "tuning_faces": 900,
    "drops": [{"metric": "age_mae", "bound": 0.05, "float32": 6.0, "int8": 6.4, "mixed": 6.03}],
    "sensitivity": [
        {
            "operator": "m/age/MatMul",
            "kind": "FULLY_CONNECTED",
            "weights": 129,
            "deviation": 0.4,
            "kept": True,
        },
        {"operator": "m/conv/Conv", "kind": "CONV_2D", "weights": 9000, "deviation": 0.1, "kept": False},
    ],
    "runtimes": {
        "LiteRT": {"runs": True},
        "TFLite Micro": {"runs": False, "reason": "a|b"},
    },
    "npu": {"accelerator": "ethos-u65-256", "npu_share": 0.96, "cycles": 1234567},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report of a study whose `age_gender/int8` has all that a card can tell."""
    outs = write_outs(tmp_path_factory.mktemp("outs"))
    folder = outs.root / "variants/age_gender/int8"
    card = read_card(folder, VariantCard)
    write_card(folder, VariantCard.model_validate(json.loads(card.model_dump_json()) | SEARCHED))
    path = write_quantization(Results.load(outs.study, outs.root), outs.root / "reports/tiny")
    return outs, path


def test_the_text_tells_costs_needs_and_what_the_search_found(written) -> None:
    text = written[1].read_text()
    for part in (
        "331 kB (0.29x)",
        r"no: a\|b",
        "1,234,567",
        "minmax of 100 faces, 1 of 2 operators in float",
        "on 900 train faces",
        "| FULLY_CONNECTED age | 129 | 0.4000 | float32 |",
        "| age_mae | 0.05 | 6.00 | 6.40 | 6.03 |",
        "failed: ",
    ):
        assert part in text, part


def test_every_picture_it_shows_exists_and_the_other_way_round(written) -> None:
    text, folder = written[1].read_text(), written[1].parent
    named = set(re.findall(r"\]\((quantization/.*?)\)", text))
    assert named == {str(path.relative_to(folder)) for path in (folder / "quantization").iterdir()}
    assert "quantization/age_gender_sensitivity.png" in named
    assert "quantization/age_gender_age_mae_latency.png" in named


def test_a_model_whose_name_begins_with_anothers_keeps_its_pictures(tmp_path) -> None:
    models = dict.fromkeys(("face", "face_large"), STUDY["models"]["expression"])
    outs = write_outs(tmp_path, STUDY | {"models": models})
    text = write_quantization(Results.load(outs.study, tmp_path), tmp_path / "report").read_text()
    pictures = re.findall(r"\]\((quantization/.*?)\)", text)
    assert pictures and len(set(pictures)) == len(pictures)


def test_it_repeats_byte_for_byte(written) -> None:
    outs, path = written
    before = {p: p.read_bytes() for p in [path, *(path.parent / "quantization").iterdir()]}
    write_quantization(Results.load(outs.study, outs.root), path.parent)
    assert before == {p: p.read_bytes() for p in [path, *(path.parent / "quantization").iterdir()]}


def points(*pairs: tuple[float, float]) -> list[Point]:
    return [Point("m", str(i), cost, value) for i, (cost, value) in enumerate(pairs)]


def test_the_front_is_what_no_other_beats() -> None:
    given = points((1, 5), (2, 7), (2, 6), (3, 7), (4, 9), (5, 8))
    assert [(p.cost, p.value) for p in front(given, "higher")] == [(1, 5), (2, 7), (4, 9)]
    assert [(p.cost, p.value) for p in front(given, "lower")] == [(1, 5)]
