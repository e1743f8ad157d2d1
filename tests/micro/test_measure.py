import shutil
from importlib.util import find_spec

from pocketface.cards import CARD, MODEL_FILE, VariantCard, read_card, variant_folder, write_card
from pocketface.core.files import sha256
from pocketface.micro.measure import measure
from pocketface.tflite.runtimes import MICRO, XNNPACK


def test_variants_are_tried_and_read_from_there(levels, tmp_path) -> None:
    for level in ("int8_io", "float16"):
        shutil.copytree(levels.variants / level, tmp_path / "variants/small" / level)
    failed = read_card(levels.variants / "int8", VariantCard).model_copy(update={"status": "failed"})
    (tmp_path / "variants/small/int8").mkdir()
    write_card(tmp_path / "variants/small/int8", failed)
    assert variant_folder(tmp_path, "small", "int8_io") == tmp_path / "variants/small/int8_io"
    made = measure(tmp_path / "variants/small", levels.views, tmp_path / "micro/small")
    assert [card.level for card in made] == ["float16", "int8_io"]
    folder = variant_folder(tmp_path, "small", "int8_io")
    assert folder == tmp_path / "micro/small/int8_io"
    assert sha256(folder / MODEL_FILE) == sha256(levels.variants / "int8_io" / MODEL_FILE)
    runs = made[1].runtimes
    assert runs[XNNPACK].runs and runs[MICRO].runs != bool(runs[MICRO].reason)
    compiled = ["ethos-u65-256.csv", "ethos-u65-256.tflite"] if find_spec("ethosu") else []
    assert sorted(path.name for path in folder.iterdir()) == sorted([CARD, MODEL_FILE, *compiled])
    assert (made[1].npu.file if made[1].npu else None) == (compiled[-1] if compiled else None)
    assert made[0].npu is None, "nothing of a float model runs there"
    write_card(tmp_path / "variants/small/int8_io", made[1].model_copy(update={"sha256": "0" * 64}))
    assert variant_folder(tmp_path, "small", "int8_io").parts[-3] == "variants", "tried was another file"
