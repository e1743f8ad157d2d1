import pytest

from pocketface.errors import PocketfaceError, exit_cleanly


def test_bad_input_ends_with_status_2_and_one_line(capsys) -> None:
    @exit_cleanly
    def main() -> None:
        raise PocketfaceError("params.yaml: no such file")

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: params.yaml: no such file\n"


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    @exit_cleanly
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main()
