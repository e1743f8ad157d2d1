from pathlib import Path

import pytest

from fake_outs import Outs, write_publishable
from pocketface import published
from pocketface.labels import AGE_BANDS
from pocketface.reporting.overview import overview

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def outs(tmp_path: Path) -> Outs:
    return write_publishable(tmp_path)


@pytest.fixture
def weights(outs: Outs) -> Path:
    """A published model, and a folder that holds something else."""
    folder = outs.root / "weights"
    published.publish(outs.study, "age_gender", folder / "pocket", root=outs.root)
    (folder / "generator").mkdir()
    (folder / "generator/card.json").write_text("{}")
    return folder


def test_every_model_is_a_row_that_leads_to_its_section(weights: Path) -> None:
    text = overview(weights)
    assert "| [pocket](#pocket) | age, gender | compact | utkface | [tiny](../studies/tiny.yaml) |" in text
    assert "331 kB |" in text
    assert "## pocket\n" in text
    assert "generator" not in text


def test_weights_to_start_from_are_named_and_have_no_row(outs: Outs, weights: Path) -> None:
    assert "start and learn from" not in overview(weights)
    published.publish(outs.study, "age_gender", weights / "first", [], root=outs.root)
    text = overview(weights)
    assert "start and learn from: `first` ([study](../studies/tiny.yaml)).\n" in text
    assert "[first](#first)" not in text


def test_levels_follow_float32_and_tell_their_change(weights: Path) -> None:
    rows = [line for line in overview(weights).splitlines() if line.startswith("| utkface | ")]
    assert [row.split(" | ")[1] for row in rows[:3]] == ["float32", "float16", "int8"]
    assert "(" not in rows[0]
    assert "(" in rows[2]


def test_groups_stand_in_their_own_order_with_their_faces(weights: Path) -> None:
    card = published.read(weights / "pocket")
    rows = [line for line in overview(weights).splitlines() if line.startswith("| utkface | age band | ")]
    found = card.levels["int8"].groups["utkface"]["age_band"]
    bands = [row.split(" | ")[2] for row in rows]
    assert bands == [band for band in AGE_BANDS if band in found]
    assert len(bands) > 2
    assert [row.split(" | ")[3] for row in rows] == [str(found[band]["n"]) for band in bands]


def test_the_page_in_the_repository_is_that_of_its_cards() -> None:
    text = (REPOSITORY / "weights/README.md").read_text(encoding="utf-8")
    assert text == overview(REPOSITORY / "weights"), "`pocketface publish` writes it"
