import numpy as np
import pytest

import drawn_datasets as drawn
from pocketface.core.errors import PocketfaceError
from pocketface.evaluation import squeezed
from pocketface.evaluation.variants import open_variant
from pocketface.faces.settings import Input


def test_the_whole_frame_is_squeezed_and_its_colours_may_change_places() -> None:
    picture = np.zeros((100, 400, 3), np.uint8)
    picture[:, 200:] = (250, 0, 50)
    plain = squeezed.squeezed(picture, Input(size=20), swapped=False)
    assert plain.shape == (20, 20, 3)
    assert tuple(plain[10, 2]) == (0, 0, 0)
    assert tuple(plain[10, 17]) == (250, 0, 50)
    swapped = squeezed.squeezed(picture, Input(size=20), swapped=True)
    assert tuple(swapped[10, 17]) == (50, 0, 250)
    grey = squeezed.squeezed(picture, Input(size=20, channels=1), swapped=False)
    assert grey.shape == (20, 20, 1)


def test_a_model_is_asked_about_the_pictures_of_an_archive(colour_model, tmp_path) -> None:
    members = drawn.photos(2)
    archive = drawn.make_raw(tmp_path / "files.zip", members)
    variant, pictures = open_variant(colour_model), squeezed.read("photos", archive, list(members))
    ways = [squeezed.answers(variant, pictures, swapped=swapped) for swapped in (False, True)]
    assert len(ways[0]) == 2
    # The colour model's age is the mean red, which is the mean blue once they have changed places.
    assert not np.allclose(ways[0]["age_pred"], ways[1]["age_pred"])
    with pytest.raises(PocketfaceError, match="fetch_data@photos"):
        squeezed.read("photos", tmp_path / "none.zip", list(members))
