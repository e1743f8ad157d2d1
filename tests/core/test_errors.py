import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketface.core.errors import PocketfaceError, exit_cleanly, shown


@pytest.mark.parametrize(
    ("raised", "status", "told"),
    [
        (PocketfaceError("params.yaml: no such file"), 2, "error: params.yaml: no such file\n"),
        (
            PocketfaceError("two\n  lines of ours, \x1b[2K\rand \u202e not"),
            2,
            "error: two\n  lines of ours, \\x1b[2K\\rand \\u202e not\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=["bad input", "escapes", "ctrl-c"],
)
def test_ends_with_a_status_and_no_traceback(raised: BaseException, status: int, told: str, capsys) -> None:
    @exit_cleanly
    def main() -> None:
        raise raised

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("size", [1, 100_000])
def test_output_to_a_full_disk_is_an_error(size: int) -> None:
    """Whether it is written at once or when the command ends."""
    code = f"from pocketface.core.errors import exit_cleanly; exit_cleanly(lambda: print('x' * {size}))()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"error: no room to write \(.*No space left on device\); make room .*\n", done.stderr)


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    @exit_cleanly
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main()


def test_a_missing_package_of_an_extra_is_told_and_any_other_is_a_defect(capsys) -> None:
    @exit_cleanly
    def main(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name, extra in [
        ("keras", "pipeline"),
        ("tensorflow", "pipeline"),
        ("distributed", "pipeline"),
        ("litert_quantizer", "pipeline"),
        ("kagglehub", "kaggle"),
        ("tflite_micro", "micro"),
    ]:
        with pytest.raises(SystemExit, match="2"):
            main(name)
        assert capsys.readouterr().err == (
            f"error: this needs the extra `{extra}`, for {name} is not installed: "
            f"`pip install 'pocketface[{extra}]'`\n"
        )
    for name in ("pocketface.nowhere", "numpy", "keras.nowhere"):
        with pytest.raises(ModuleNotFoundError):
            main(name)


def test_what_stdout_cannot_encode_is_escaped(monkeypatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "cp1252"))
    exit_cleanly(print)("한.jpg", "\udcff", "ö", flush=True)
    assert out.getvalue() == "\\ud55c.jpg \\udcff ö\n".encode("cp1252")


@given(st.text())
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    assert shown(text).isprintable()
    assert shown(text) == text or not text.isprintable()
