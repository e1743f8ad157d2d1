"""The vocabularies: what a label may say, in the order of a model's outputs, which every card repeats."""

from bisect import bisect_right
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, StringConstraints, model_validator

from pocketface.core.settings import Strict

if TYPE_CHECKING:
    import pandas as pd

GENDERS = ("male", "female")
"""A binary annotation of appearance, as the datasets record it; not a person's gender identity."""

RACES = ("white", "black", "asian", "indian", "other")
"""UTKFace's annotation. Used to report error per group, never as a model's output."""

FAIRFACE_RACES = tuple(
    "white, black, east asian, southeast asian, indian, middle eastern, latino_hispanic".split(", ")
)
"""FairFace's annotation, finer than UTKFace's: neither is mapped onto the other."""

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""FER2013's seven classes in its own order (0 to 6)."""

AGE_GROUPS = ("young", "elderly")
ELDERLY_FROM = 65
"""Years. The photographs know only young and elderly."""

AGE_BANDS = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
"""FairFace's bands; the last one starts at 70."""
BAND_STARTS = (0, 3, 10, 20, 30, 40, 50, 60, 70)
"""Years; each band reaches up to the next one's start."""

CELEBA_ATTRIBUTES = tuple(
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair "
    "Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair "
    "Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face "
    "Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair "
    "Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young".split()
)
"""The 40 attributes of CelebA, spelled and ordered as in its `list_attr_celeba.txt`."""

NO_YES = ("no", "yes")
"""What an attribute's 0 and 1 say."""


def in_words(head: str, label: str) -> tuple[str, str]:
    """An answer for a person: `No_Beard`, `no` is `beard`, `yes`; `gender`, `male` stays."""
    if head.startswith("No_") and label in NO_YES:
        head, label = head.removeprefix("No_"), NO_YES[label == NO_YES[0]]
    return head.removeprefix("Wearing_").replace("_", " ").lower(), label


CLASSES = {
    "gender": GENDERS,
    "race": tuple(dict.fromkeys(RACES + FAIRFACE_RACES)),
    "expression": EXPRESSIONS,
    "age_group": AGE_GROUPS,
    "age_band": AGE_BANDS,
}
"""Label column -> the words it may hold. `age` is a number in years, an attribute is 0 or 1."""

NUMBERS = {"age": "years"}
"""Label column that is a number -> its unit."""

HEADS = ("age", "gender", "expression", *CELEBA_ATTRIBUTES)
"""What a model may be asked to answer: each is a label column of the face index, of the same name."""

TRAINING_OUTPUTS = {"age_distribution": "age", "age_ranks": "age"}
"""Output that a model has while it is trained and not when it is exported -> the head it serves; see
`pocketface.layers.heads`."""


def age_group(age: float) -> str:
    """The coarse group of an age in years: `young`, or `elderly` from 65 on."""
    return AGE_GROUPS[int(age >= ELDERLY_FROM)]


def age_band(age: float) -> str:
    """The FairFace band of an age in years."""
    return AGE_BANDS[max(bisect_right(BAND_STARTS, age) - 1, 0)]


def main_metric(head: str) -> str:
    """The metric that stands for a head, e.g. `age_mae`."""
    return f"{head}_{'mae' if head in NUMBERS else 'accuracy'}"


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"{text!r} is no word of printable characters")
    return text


Word = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_printable)]
"""A label or unit."""
TAKEN = frozenset(
    "image split status face box source_sha phash same_as problem dataset crop pixels look "
    "file allow_pickle".split()  # the last two are arguments of `numpy.savez`
)
"""Names that no label can have: columns of the tables of faces and answers, and more."""


def _free(name: str) -> str:
    """The name of a label, unless it is one of those taken, which is a `ValueError`."""
    if name in TAKEN:
        raise ValueError(f"the name {name!r} is taken; give the label another")
    return name


Head = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,64}$"), AfterValidator(_free)]
"""Name of an answer; it is that of a column, and part of one in C."""


class Output(Strict):
    """One answer of a model.

    Attributes:
        kind: `number`: float `[N, 1]` in `unit`; `classes`: float `[N, len(labels)]` probabilities.
        unit: of a number, e.g. `years`.
        labels: of classes, in output order; two or more, and no two are equal.
    """

    kind: Literal["number", "classes"]
    unit: Word | None = None
    labels: tuple[Word, ...] = ()

    @model_validator(mode="after")
    def _classes_have_labels(self) -> "Output":
        if self.kind == "number" and self.labels:
            raise ValueError("a number has no labels")
        if self.kind == "classes" and (len(self.labels) < 2 or len(set(self.labels)) < len(self.labels)):
            raise ValueError(f"classes have two labels or more, and no two are equal, not {self.labels}")
        return self


def classes_of(head: str) -> tuple[str, ...]:
    """The labels of a head of ours; none of a number, or of a head that is not ours."""
    return NO_YES if head in CELEBA_ATTRIBUTES else CLASSES.get(head, ())


def meaning(head: str) -> Output:
    """The `Output` of a head of ours, as it stands in the card."""
    if head in NUMBERS:
        return Output(kind="number", unit=NUMBERS[head])
    return Output(kind="classes", labels=classes_of(head))


def words(column: "pd.Series") -> "pd.Series":
    """A label column in words: of an attribute, what its 0 and 1 say."""
    return column.map(dict(enumerate(NO_YES))) if column.name in CELEBA_ATTRIBUTES else column
