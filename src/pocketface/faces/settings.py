"""How faces are cut out of a dataset's pictures, and what a model sees of them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pocketface.core.settings import Fraction, Strict

Detector = Literal["hog", "cnn", "blazeface"]
"""What finds faces: dlib's two, and MediaPipe's BlazeFace, which is several times faster than HOG."""


class Crop(Strict):
    """How faces are cut out of a dataset's pictures, and how they are stored.

    Attributes:
        policy: `one` rejects a picture unless it shows one face; `largest` takes the largest of several;
            `as_is` takes the whole picture as a face crop, without detection.
        detector: see `Detector`; the published models learned from the faces that `hog` finds.
        upsample: how often the picture is doubled before detection; 0 suits tight crops, 1 finds faces from
            about 40 pixels on. The `cnn` rejects a picture as `too_large` if it would look at more than four
            megapixels, as it would after two doublings of a copy of 1000x1000.
        geometry: `chip` is aligned to the eyes and nose; `type_a` and `type_b` are those of the FaceNet
            report.
        margin: of a `chip`: how far it reaches beyond dlib's mean face, as a share of that face's width.
        epsilon, shift: of `type_a`, see `pocketface.cropping.geometry`; as in the report.
        size: side of the stored crop, in pixels.
        channels: 3 for RGB, 1 for grey.
    """

    policy: Literal["one", "largest", "as_is"] = "one"
    detector: Detector = "hog"
    upsample: Annotated[int, Field(ge=0, le=3)] = 0
    geometry: Literal["chip", "type_a", "type_b"] = "chip"
    margin: Annotated[float, Field(ge=0, le=2)] = 0.25
    epsilon: Annotated[float, Field(gt=0, le=2)] = 0.5
    shift: Annotated[float, Field(ge=-1, le=1)] = 0.2
    size: Annotated[int, Field(ge=16, le=1024)] = 120
    channels: Literal[1, 3] = 3


class Dataset(Strict):
    """One dataset of a study.

    Attributes:
        sample: keeps a fixed fraction of its pictures, chosen by a hash of the name.
        crop: how faces are cut out.
        reader: `labelled` of what `pocketface data add` has packed; others have a reader of their name.
        contradictory: whether copies of a picture that have different labels are used, each with its own; by
            default none of them is.
        people: `dlib` finds out by its face descriptor who is on several pictures, where the dataset does not
            say; folds and intervals then go by person. A tenth of a second a face.
    """

    sample: Fraction = 1.0
    crop: Crop
    contradictory: bool = False
    people: Literal["dlib"] | None = None
    reader: Literal["labelled"] | None = None

    @model_validator(mode="after")
    def _people_have_points(self) -> "Dataset":
        if self.people and self.crop.policy == "as_is":
            raise ValueError("`people: dlib` needs a face that is found, not `policy: as_is`")
        return self


class Input(Strict):
    """What a model sees: a square window of the aligned face, `[size, size, channels]`, raw 0..255.

    Attributes:
        margin: as `Crop.margin`; at most that of the dataset, so the window lies inside the crop.
        shift: how far the window is moved down, as a share of the mean face's width (negative: up).
    """

    size: Annotated[int, Field(ge=16, le=512)]
    channels: Literal[1, 3] = 3
    margin: Annotated[float, Field(ge=0, le=2)] = 0.2
    shift: Annotated[float, Field(ge=-1, le=1)] = 0.0
