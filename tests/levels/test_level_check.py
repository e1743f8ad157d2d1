from dataclasses import replace

import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.levels import LEVELS
from pocketface.tflite.file import TFLiteFile


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activations": ("INT8",)}, r"should have INT8 activations, the file has \['FLOAT32'\]"),
        ({"input": "UINT8"}, r"should have UINT8 inputs, the file has \['FLOAT32'\]"),
        ({"output": "INT8"}, r"should have INT8 outputs, the file has \['FLOAT32'\]"),
        ({"activations": ("INT8", "FLOAT32")}, "should have INT8 and FLOAT32 activations"),
    ],
)
def test_a_file_of_another_level_is_refused(colour_model, change: dict, message: str) -> None:
    held = TFLiteFile.read(colour_model)
    LEVELS["float32"].check(held)
    with pytest.raises(PocketfaceError, match=message):
        replace(LEVELS["float32"], **change).check(held)
