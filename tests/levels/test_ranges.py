import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.levels import ranges
from pocketface.tflite.file import TFLiteFile


@pytest.fixture
def painted() -> np.ndarray:
    """Faces for `colour_model`: red 0, 51, ..., 255; no green; half blue."""
    faces = np.zeros((6, 48, 48, 3), np.uint8)
    faces[..., 0] = np.arange(0, 256, 51)[:, None, None]
    faces[..., 2] = 128
    return faces


def test_minmax_is_what_was_seen_with_zero_and_pixels_are_known(colour_model, painted) -> None:
    found = ranges.measure(TFLiteFile.read(colour_model), painted[:3])
    assert found[TFLiteFile.read(colour_model).image] == (0, 255)
    (age,) = (values for name, values in found.items() if values[1] == pytest.approx(40))
    assert age[0] == 0


def test_no_face_is_an_error(colour_model, painted) -> None:
    with pytest.raises(PocketfaceError, match="no calibration faces"):
        ranges.measure(TFLiteFile.read(colour_model), painted[:0])


def test_an_outlier_widens_minmax_only() -> None:
    values = np.append(np.random.default_rng(0).uniform(0, 1, 100_000), 50)
    counts = np.histogram(values, ranges.BINS, (0, 50))[0].astype(float)
    for choose, least, greatest in ((ranges._percentile, 0.9, 1.1), (ranges._least_squares, 9.9, 49)):
        low, high = choose(counts, 0.0, 50.0)
        assert low == 0
        assert least <= high <= greatest


def test_least_squares_keeps_all_where_nothing_lies_out() -> None:
    assert ranges._least_squares(np.ones(ranges.BINS), -1.0, 1.0) == (-1.0, 1.0)


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
def test_every_method_gives_every_tensor_a_range(colour_model, painted, method: str) -> None:
    found = ranges.measure(TFLiteFile.read(colour_model), painted, method)
    assert set(found) == set(ranges.measure(TFLiteFile.read(colour_model), painted))
    assert all(low <= 0 <= high for low, high in found.values())
