"""What is refused that LiteRT lets through: with an error, no traceback and no answer."""

import dataclasses
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from pocketface.core.budget import MODEL
from pocketface.core.errors import PocketfaceError
from pocketface.evaluation.variants import open_variant
from pocketface.importing import network
from pocketface.tflite import run, sound, versions
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import Runner

PUBLISHED = sorted((Path(__file__).parents[2] / "weights").glob("*/int8/model.tflite"))
MACS = {path: json.loads((path.parent / "card.json").read_text())["macs"] for path in PUBLISHED}
SMALLEST = min(PUBLISHED, key=lambda path: path.stat().st_size)


def damaged(change: Callable[[schema.ModelT], object]) -> bytes:
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(SMALLEST.read_bytes()))
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=sound.IDENTIFIER)
    return bytes(builder.Output())


def quantized(model: schema.ModelT) -> schema.QuantizationParametersT:
    """Of the picture, as int8."""
    return model.subgraphs[0].tensors[model.subgraphs[0].operators[0].outputs[0]].quantization


def scale(value: float) -> Callable:
    return lambda model: setattr(quantized(model), "scale", np.float32([value]))


def zero_point(*values: int) -> Callable:
    return lambda model: setattr(quantized(model), "zeroPoint", np.int64(values))


DAMAGES = {
    "scale 0": (scale(0), "scale of .* is not finite and above 0"),
    "scale below 0": (scale(-1), "scale of .* is not finite and above 0"),
    "scale infinite": (scale(np.inf), "scale of .* is not finite and above 0"),
    "scale nan": (scale(np.nan), "scale of .* is not finite and above 0"),
    "zero point high": (zero_point(128), "zero point of .* is no value"),
    "zero point low": (zero_point(-129), "zero point of .* is no value"),
    "no graph": (lambda m: setattr(m, "subgraphs", []), "no graph"),
    "signature": (lambda m: setattr(m.signatureDefs[0].outputs[0], "tensorIndex", 999), "signature names"),
    "input": (lambda m: setattr(m.signatureDefs[0].inputs[0], "tensorIndex", 999), "signature names"),
    "signature's graph": (
        lambda m: setattr(m.signatureDefs[0], "subgraphIndex", 7),
        "signature names a graph",
    ),
    "metadata": (lambda m: setattr(m.metadata[0], "buffer", 999), "metadata names"),
    "no weights": (lambda m: setattr(m.subgraphs[0].operators[1], "inputs", [38]), "has 1 inputs"),
    "weights -1": (lambda m: setattr(m.subgraphs[0].operators[1], "inputs", [38, -1, 4]), "names something"),
    "no options": (lambda m: setattr(m.subgraphs[0].operators[1], "builtinOptions", None), "has no stride"),
    "no input": (lambda m: setattr(m.subgraphs[0].operators[0], "inputs", []), "has 0 inputs and 1 outputs"),
    "name": (lambda m: setattr(m.subgraphs[0].tensors[3], "name", b"\xff"), "not UTF-8"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_refused_by_runner_and_audit(tmp_path, kind: str) -> None:
    change, complaint = DAMAGES[kind]
    file = tmp_path / "model.tflite"
    file.write_bytes(damaged(change))
    with pytest.raises(
        PocketfaceError, match=rf"model\.tflite: .*a damaged (TFLite file|one): .*{complaint}"
    ):
        Runner(file)
    with pytest.raises(PocketfaceError, match=complaint):
        TFLiteFile.read(file).copy()


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m.subgraphs[0].operators[1], "inputs", [38, 19, 999]),
        lambda m: setattr(m.subgraphs[0].operators[1], "opcodeIndex", 99),
        lambda m: setattr(m.subgraphs[0].tensors[5], "buffer", 999),
        lambda m: setattr(m.subgraphs[0].operators[14], "inputs", [0]),
        zero_point(),
    ],
    ids=["operand", "operator", "buffer", "an operand of another shape", "no zero point"],
)
def test_what_litert_finds_itself_or_would_write_behind(tmp_path, change) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(damaged(change))
    with pytest.raises(PocketfaceError, match=r"model\.tflite: (a damaged|not a runnable) TFLite"):
        Runner(file)


INT32 = schema.TensorType.INT32


def instead(kind: str, *operands: list[int], out: list[int] | None = None) -> Callable:
    """The operator that reads the picture becomes another one, with constants as further operands."""

    def change(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        operator = graph.operators[0]
        code = getattr(schema.BuiltinOperator, kind)
        model.operatorCodes.append(schema.OperatorCodeT(min(code, 127), None, 1, code))
        operator.opcodeIndex = len(model.operatorCodes) - 1
        operator.builtinOptionsType, operator.builtinOptions = 0, None
        for values in operands:
            model.buffers.append(schema.BufferT(np.int32(values).view(np.uint8) if values else None))
            tensor = schema.TensorT([len(values)], INT32, len(model.buffers) - 1, b"told")
            operator.inputs = [*operator.inputs, len(graph.tensors)]
            graph.tensors.append(tensor)
        if out is not None:
            graph.tensors[operator.outputs[0]].shape = out

    return change


def shaped(*shape: int) -> Callable:
    """What the first operator writes has another shape."""
    return lambda m: setattr(m.subgraphs[0].tensors[m.subgraphs[0].operators[0].outputs[0]], "shape", shape)


def crowded(model: schema.ModelT) -> None:
    model.buffers += [schema.BufferT()] * 60_000


TOO_MUCH = {
    "loop": (instead("WHILE"), "operator WHILE: not run"),
    "branch": (instead("IF"), "operator IF: not run"),
    "call": (instead("CALL_ONCE"), "operator CALL_ONCE: not run"),
    "state": (instead("READ_VARIABLE"), "operator READ_VARIABLE: not run"),
    "sequence": (instead("UNIDIRECTIONAL_SEQUENCE_LSTM"), "LSTM: not run"),
    "size computed": (instead("TILE", []), "operator TILE: not run, for the size"),
    "no size": (instead("FILL"), "FILL has 1 inputs"),
    "another size": (instead("TILE", [1, 9999, 9999, 9]), "TILE gives .* values, not"),
    "a side below 0": (shaped(-64, 1), "elements overflowed"),
    "values": (shaped(1, 2**15, 2**15, 1), "too_large: tensors of"),
    "picture": (
        lambda m: setattr(m.subgraphs[0].tensors[m.subgraphs[0].inputs[0]], "shape", [1, 2**18, 36, 1]),
        "too_large: sees",
    ),
    "parts": (crowded, "too_large: a TFLite file of more than 5,000,000 parts"),
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_what_would_run_for_ever_or_take_all_memory_is_not_run(tmp_path, kind: str) -> None:
    change, complaint = TOO_MUCH[kind]
    file = tmp_path / "model.tflite"
    file.write_bytes(damaged(change))
    with pytest.raises(PocketfaceError, match=rf"model\.tflite: .*{complaint}"):
        Runner(file)


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda path: path.parts[-3])
def test_work_is_counted_and_bounded(file: Path, monkeypatch) -> None:
    monkeypatch.setattr(sound, "MODEL", dataclasses.replace(MODEL, work=1000))
    with pytest.raises(PocketfaceError, match="operations for one face; at most 1,000 are done") as told:
        sound.check(file.read_bytes())
    work, macs = int(re.sub(r"\D", "", str(told.value).partition(" op")[0])), MACS[file]
    assert macs < work < 2 * macs + 10_000_000


@pytest.mark.parametrize("kind", ["RESIZE_BILINEAR", "PAD", "BROADCAST_TO"])
def test_operators_that_grow_by_a_constant_are_run(kind: str) -> None:
    told = {"RESIZE_BILINEAR": [64, 64], "PAD": [0] * 8, "BROADCAST_TO": [1, 64, 64, 1]}[kind]
    sound.check(damaged(instead(kind, told, out=[1, 64, 64, 1])))


@pytest.mark.parametrize("opens", [open_variant, network.read])
def test_a_file_that_litert_aborts_at_is_refused_and_ours_are_not_tried(tmp_path, monkeypatch, opens) -> None:
    def change(model: schema.ModelT) -> None:
        add = schema.BuiltinOperator.ADD
        model.operatorCodes.append(schema.OperatorCodeT(add, None, 1, add))
        operator = model.subgraphs[0].operators[6]
        operator.opcodeIndex, operator.inputs = (
            len(model.operatorCodes) - 1,
            operator.inputs[:2],
        )

    file = tmp_path / "model.tflite"
    file.write_bytes(damaged(change))
    with pytest.raises(PocketfaceError, match=r"model\.tflite: .*damaged.* ended with status -6"):
        opens(file)
    monkeypatch.setattr(run, "_apart", lambda *_: pytest.fail("no process for published files"))
    assert run.tried(SMALLEST) == SMALLEST


def test_special_and_huge_files_are_no_models(tmp_path) -> None:
    with pytest.raises(PocketfaceError, match="/dev/zero: not a regular file"):
        Runner(Path("/dev/zero"))
    with (tmp_path / "holes.tflite").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(PocketfaceError, match="larger than 1,073,741,824 bytes"):
        Runner(tmp_path / "holes.tflite")


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda path: path.parts[-3])
def test_published_files_are_sound(file: Path) -> None:
    sound.begins(file.read_bytes())
    sound.check(file.read_bytes())


MUTATED = """
import sys
from pathlib import Path
import numpy as np
from pocketface.core.budget import MODEL
from pocketface.core.errors import PocketfaceError
from pocketface.tflite.meaning import read
from pocketface.tflite.run import Runner
answered = 0
for path in map(Path, sys.argv[1:]):
    try:
        runner = Runner(path)
        read(runner)
        runner(np.zeros((1, *runner.input_shape), np.uint8))
        answered += 1
        runner.file.operators
    except PocketfaceError as error:
        assert str(error), path
print(answered)
"""


def test_mutated_files_are_refused_or_answer(tmp_path) -> None:
    """In a process of its own: a crash by signal is a failure, too."""
    chance, whole = random.Random(25), SMALLEST.read_bytes()
    paths = []
    for number in range(120):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            place, size = chance.randrange(len(content) - 4), chance.choice((1, 4))
            content[place : place + size] = chance.choice((bytes(4), b"\xff" * 4, chance.randbytes(4)))[:size]
        paths.append(tmp_path / f"{number}.tflite")
        paths[-1].write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", MUTATED, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 10 < int(done.stdout) < len(paths) - 10


def test_every_operator_that_levels_may_have_is_run() -> None:
    assert set(versions.TABLE) <= set(sound.INPUTS)
