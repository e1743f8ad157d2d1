import json
from pathlib import Path

import pytest

from fake_outs import write_publishable
from pocketface import published, publishing
from pocketface.core.labels import AGE_BANDS
from pocketface.metrics.naming import MISSING, label_of
from pocketface.report.published import notice, overview

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A published model, and a folder that holds something else."""
    outs = write_publishable(tmp_path)
    publishing.publish(outs.study, "age_gender", tmp_path / "weights/pocket", root=tmp_path)
    (tmp_path / "weights/generator").mkdir()
    (tmp_path / "weights/generator/card.json").write_text("{}")
    return tmp_path / "weights"


def test_every_model_is_a_row_that_leads_to_its_section(weights: Path) -> None:
    text = overview(weights)
    assert "| [pocket](#pocket) | age, gender | compact | utkface | [tiny](../studies/tiny.yaml) |" in text
    assert "331 kB |" in text
    assert "## pocket\n" in text
    assert "generator" not in text


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


def test_bands_of_ages_are_a_column_where_a_dataset_has_nothing_finer(weights: Path) -> None:
    assert "age band accuracy" not in overview(weights)
    path = weights / "pocket/card.json"
    card = json.loads(path.read_text())
    races = {"latino_hispanic": {"n": 7, "age_band_accuracy": 0.512}}
    for level in card["levels"].values():
        level["metrics"]["fairface"] = {"age_band_accuracy": 0.487, "gender_accuracy": 0.9}
        level["groups"]["fairface"] = {"race": races}
    path.write_text(json.dumps(card))
    rows = [[cell.strip() for cell in line.split("|")] for line in overview(weights).splitlines()]
    [header] = {tuple(row) for row in rows if row[1:3] == ["dataset", "level"]}
    [row] = [row for row in rows if row[1:3] == ["fairface", "float32"]]
    assert row[header.index(label_of("age_band_accuracy"))].startswith("48.7")
    assert row[header.index(label_of("age_mae"))] == MISSING
    assert [row for row in rows if row[1:5] == ["fairface", "race", "latino_hispanic", "7"]]


def test_beside_figures_of_celebrities_it_is_said_who_saw_them(tmp_path: Path, weights: Path) -> None:
    assert "IMDB-WIKI" not in overview(weights)
    path = weights / "pocket/card.json"
    card = json.loads(path.read_text())
    card["sources"]["faceres"] = "a network"
    path.write_text(json.dumps(card))
    assert "IMDB-WIKI" not in overview(weights), "it is not measured on CelebA"
    for level in card["levels"].values():
        for part in ("metrics", "groups", "faces"):
            if "utkface" in level[part]:
                level[part]["celeba"] = level[part]["utkface"]
    path.write_text(json.dumps(card))
    assert "saw VGGFace2 and IMDB-WIKI" in overview(weights)


def test_the_page_in_the_repository_is_that_of_its_cards() -> None:
    text = (REPOSITORY / "weights/README.md").read_text(encoding="utf-8")
    assert text == overview(REPOSITORY / "weights"), "`pocketface publish` writes it"
    text = (REPOSITORY / "weights" / published.NOTICE).read_text(encoding="utf-8")
    assert text == notice(REPOSITORY / "weights"), "`pocketface publish` writes it"


def test_the_notice_names_every_network_its_sources_and_their_terms() -> None:
    lines = notice(REPOSITORY / "weights").splitlines()
    cards = {
        card.parent.name: json.loads(card.read_text()) for card in REPOSITORY.glob("weights/*/card.json")
    }
    assert len(cards) > 6
    for name, card in cards.items():
        [line] = [line for line in lines if line.startswith(f"- `{name}`: ")]
        learned = line.partition(": ")[2].split(", ")
        assert learned == sorted(card.get("sources") or card["trained_on"])
        for source in learned:
            [said] = [line.partition(": ")[2] for line in lines if line.startswith(f"- `{source}`: ")]
            assert said.partition(": ")[2] in card["licence"]


def test_terms_make_no_link_and_no_tag(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/card.json").write_text(json.dumps({"sources": {"b": "[x](http://y) <img src=z>"}}))
    assert "- `b`: [x]\\(http://y) &lt;img src=z>" in notice(tmp_path)
