"""The oracle is TensorFlow's exporter, which knows its own rules; what they miss was measured."""

from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from colour_net import colour_model, painted
from pocketface.cards import MODEL_FILE
from pocketface.core.errors import PocketfaceError
from pocketface.levels import LEVELS, ranges
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.tflite import file, sound, versions
from pocketface.tflite.file import TFLiteFile

PUBLISHED = sorted((Path(__file__).parents[2] / "weights").glob("*/*/model.tflite"))
OLDEST = {
    "float32": "1.6.0",
    "float16": "1.15.0",
    "dynamic_int8": "2.4.0",
    "int8": "2.13.0",
    "int8_io": "2.13.0",
    "uint8_io": "2.13.0",
    "int16x8": "2.15.0",
    "int4_weights": "2.19.0",
    "mixed_int8": "2.13.0",
    "qat_int8": "2.13.0",
}
"""Of a network of a convolution of 3,483 weights and dense layers of fewer than 1,024."""


@pytest.fixture(scope="module")
def files(levels) -> dict[str, TFLiteFile]:
    """Level -> file of one small model, as the pipeline makes it."""
    return {name: TFLiteFile.read(levels.variants / name / MODEL_FILE) for name in LEVELS}


def declared(file: TFLiteFile) -> dict[str, int]:
    """Operator -> version."""
    codes = file.model.operatorCodes
    kinds = [sound.OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in codes]
    return {kind: code.version for kind, code in zip(kinds, codes, strict=True)}


def packed(model: schema.ModelT) -> TFLiteFile:
    """The file of a model whose versions stay as they are."""
    builder = file._Sharing(1024)
    builder.Finish(model.Pack(builder), file_identifier=sound.IDENTIFIER)
    return TFLiteFile(bytes(builder.Output()))


def by_tensorflow(file: TFLiteFile) -> dict[str, int]:
    """Operator -> version, as TensorFlow's exporter declares it: it reads the file and writes it again."""
    from tensorflow.lite.python.convert import mlir_sparsify

    return declared(TFLiteFile(mlir_sparsify(file.content)))


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_declares_what_its_operators_need(files, level: str) -> None:
    held = files[level]
    assert held.understated == []
    assert held.min_runtime == OLDEST[level]


@pytest.mark.parametrize("level", [level for level in LEVELS if level != "int4_weights"])
def test_no_version_is_below_tensorflows(files, level: str) -> None:
    ours, theirs = declared(files[level]), by_tensorflow(files[level])
    assert set(theirs) <= set(ours)
    assert all(ours[kind] >= version for kind, version in theirs.items()), (ours, theirs)
    assert max(theirs.values()) > 1 or level == "float32"


@pytest.mark.parametrize("level", ["int8", "int8_io", "uint8_io", "qat_int8"])
def test_runtimes_that_know_one_scale_for_a_dense_layer_refuse_channels(files, level: str) -> None:
    """tflite-runtime 2.7 to 2.9 know FULLY_CONNECTED up to version 9, and misread scales of channels."""
    assert declared(files[level])["FULLY_CONNECTED"] > 9


def test_int4_convolutions_name_an_operator_that_runtimes_which_misread_them_lack(files) -> None:
    codes = declared(files["int4_weights"])
    assert codes["CONV_2D"] == 8 and codes["DYNAMIC_UPDATE_SLICE"] == 3
    assert "DYNAMIC_UPDATE_SLICE" not in files["int4_weights"].kinds
    model = files["int4_weights"].copy()
    model.operatorCodes.pop()
    assert "CONV_2D needs DYNAMIC_UPDATE_SLICE version 3" in packed(model).understated[0]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.parent.parent.name)
def test_published_files_tell_the_truth(path: Path) -> None:
    held = TFLiteFile.read(path)
    assert (held.understated, held.min_runtime) == ([], "2.13.0")


def test_one_scale_for_all_channels_runs_in_older_runtimes(files) -> None:
    image = keras.Input((8, 8, 1), name="image")
    model = keras.Model(image, {"age": layers.Dense(8)(layers.Flatten()(image))})
    pixels, float32 = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), np.uint8), to_tflite(model)
    measured = ranges.measure(float32, pixels)
    made = {each: quantize(float32, LEVELS["int8"], measured, each) for each in (True, False)}
    assert {each: declared(file)["FULLY_CONNECTED"] for each, file in made.items()} == {True: 10, False: 4}
    assert {each: file.min_runtime for each, file in made.items()} == {
        True: "2.13.0",
        False: "1.14.0",
    }


def test_tensorflows_own_int8_and_int16_files_are_put_right() -> None:
    pixels, _ = painted()
    for level, version in (("int8", 10), ("int16x8", 11)):
        file = to_tflite(colour_model(), LEVELS[level], pixels[:9])
        assert file.understated == []
        assert declared(file)["FULLY_CONNECTED"] == version


def test_an_operator_that_is_not_known_is_an_error_and_no_version_1() -> None:
    assert versions.needed("A_NEW_ONE", "FLOAT32").version == 1
    for kind, types in (("A_NEW_ONE", "INT8"), ("SUM", "INT16"), ("DEPTHWISE_CONV_2D", "FLOAT32 x INT8")):
        with pytest.raises(PocketfaceError, match=f"no version of {kind} is known to compute {types}:"):
            versions.needed(kind, types)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_file_that_understates_is_refused_and_writing_it_again_changes_no_answer(files, data) -> None:
    level = data.draw(st.sampled_from([level for level in LEVELS if level not in ("float32", "float16")]))
    model = files[level].copy()
    for code in model.operatorCodes:
        code.version = data.draw(st.integers(1, code.version))
    said = data.draw(st.sampled_from([None, b"1.5.0", b"2.1.0"]))
    if said is None:
        model.metadata = [entry for entry in model.metadata if entry.name != file.MIN_RUNTIME]
    else:
        file.set_metadata(model, file.MIN_RUNTIME, said.ljust(16, b"\0"))
    lying = packed(model)
    with pytest.raises(PocketfaceError, match=f"level {level}: .*needs"):
        LEVELS[level].check(lying)
    right = TFLiteFile.write(lying.copy())
    LEVELS[level].check(right)
    assert declared(right) == declared(files[level])
    faces = painted()[0][:5]
    for head, answer in files[level].answers(faces).items():
        np.testing.assert_array_equal(right.answers(faces)[head], answer)


def test_operators_of_one_code_get_the_highest_version_of_them(files) -> None:
    """Operators of one kind share a code and its version: in `mixed_int8` float and integer ones do."""
    pixels, found = painted()[0], files["float32"].operators
    dense = [operator.name for operator in found if operator.kind == "FULLY_CONNECTED"]
    measured = ranges.measure(files["float32"], pixels[:9])
    made = quantize(files["float32"], LEVELS["mixed_int8"], measured, kept=dense[:1])
    assert made.weight_dtypes["FLOAT32"] == 16 + 1
    assert declared(made)["FULLY_CONNECTED"] == 10


def test_schema_still_has_the_operator_of_the_guard() -> None:
    assert hasattr(schema.BuiltinOperator, versions.GUARD[0])
