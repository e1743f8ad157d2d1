import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from example_models import ATTRIBUTES, SMALL, Plan
from pocketface import models
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import CELEBA_ATTRIBUTES, EXPRESSIONS, HEADS, NO_YES, meaning
from pocketface.faces.settings import Input
from pocketface.layers import heads
from pocketface.layers.macs import macs

FIGURES = [
    # Keras' own table of MobileNetV2 and V3, without classifier and with one output.
    (Plan("transfer", 96, 3, ["age"], {"backbone": "mobilenet_v2", "freeze": "all"}), 2_257_984 + 1281, 1281),
    (Plan("transfer", 96, 3, ["age"], {"backbone": "mobilenet_v3_small"}), 939_120 + 577, 927_008 + 577),
    # torchvision's ResNet-34 has 21,797,672 with its classifier of 513,000; its moving averages do not count.
    (
        Plan("transfer", 64, 3, ["age"], {"backbone": "resnet34"}),
        21_301_696 + 513,
        21_797_672 - 513_000 + 513,
    ),
    (Plan("transfer", 64, 3, ["age"], {"backbone": "vgg16"}), 14_714_688 + 513, 14_714_688 + 513),
    # The FaceNet report's appendix; without gender, one head of 34 less.
    (Plan("facenet", 36, 1, ATTRIBUTES), 21_732, 21_660),
    (Plan("facenet", 36, 1, ATTRIBUTES[1:]), 21_732 - 34, 21_660 - 34),
    (Plan("deepface_emotion", 48, 1, ["expression"]), 1_485_831, 1_485_831),
    (Plan("mini_xception", 64, 1, ["expression"]), 58_423, 56_951),
    # From their layer lists: blocks, dense layers, output.
    (
        Plan("compact", 48, 1, ["expression"], {"widths": [8, 16], "depths": [1, 2]}),
        9 * (1 * 8 + 8 * 16 + 16 * 16) + 4 * (8 + 16 + 16) + 16 * 7 + 7,
        9 * (1 * 8 + 8 * 16 + 16 * 16) + 2 * (8 + 16 + 16) + 16 * 7 + 7,
    ),
    (
        Plan("lite_age", 200, 3, ["age"]),
        9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 256)
        + 4 * (16 + 32 + 64 + 128 + 256 + 256)
        + (256 * 256 + 256 + 256 * 64 + 64 + 64 * 32 + 32)
        + 33,
        1_067_793,
    ),
    (Plan("lite_age", 200, 3, ["age"], {"lite": True}), 200_956, 199_452),
    (
        Plan("pocket", 96, 3, ["age", "gender", "expression", *ATTRIBUTES], {"age": "expected"}),
        515_626,
        506_714,
    ),
]


@pytest.mark.parametrize(("plan", "parameters", "trainable"), FIGURES, ids=lambda value: str(value))
def test_an_architecture_has_the_parameters_that_were_published(
    plan: Plan, parameters: int, trainable: int
) -> None:
    model = plan.build()
    assert model.count_params() == parameters
    assert sum(math.prod(weight.shape) for weight in model.trainable_weights) == trainable


@pytest.mark.slow  # 540 MB
def test_deepface_vgg_has_the_parameters_of_the_published_files() -> None:
    descriptor = 14_714_688 + (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096
    age = Plan("deepface_vgg", 224, 3, ["age"], {"age": "expected"}).build()
    assert age.count_params() == descriptor + 4097 * 101 == 134_674_341
    gender = Plan("deepface_vgg", 224, 3, ["gender"]).build()
    assert gender.count_params() == descriptor + 4097 * 2


@pytest.mark.parametrize("plan", SMALL, ids=str)
def test_an_architecture_takes_raw_pixels_and_answers_in_meaning(plan: Plan) -> None:
    keras.utils.set_random_seed(1)
    model = plan.build()
    answers = model(plan.faces(5).astype(np.float32))
    assert list(answers) == plan.heads
    for head, answer in answers.items():
        values = np.asarray(answer)
        assert np.isfinite(values).all()
        if head == "age":
            # An untrained model that answers in years is near a grown-up's age, not near 0 or 1.
            assert values.shape == (5, 1)
            assert 10 < values.mean() < 100
        else:
            assert values.shape == (5, len(meaning(head).labels))
            np.testing.assert_allclose(values.sum(1), 1, rtol=1e-5)


def test_what_was_built_before_changes_no_name() -> None:
    plan = SMALL[2]
    first = [weight.path for weight in plan.build().weights]
    SMALL[0].build()
    again = plan.build()
    assert [weight.path for weight in again.weights] == first
    assert len(set(first)) == len(first)
    assert "age" in [layer.name for layer in again.layers]


def test_the_penalty_on_kernels_reaches_the_model_that_is_trained() -> None:
    model = SMALL[3].build()
    assert len(heads.training_model(model).losses) == 3, "two convolutions and a dense layer"


def test_meaning_gives_the_order_of_classes_and_the_unit() -> None:
    assert meaning("expression").labels == EXPRESSIONS
    assert meaning("gender").labels == ("male", "female")
    assert meaning("Bald").labels == NO_YES
    assert (meaning("age").kind, meaning("age").unit) == ("number", "years")
    assert set(CELEBA_ATTRIBUTES) < set(HEADS)


TINY = {"widths": [4], "depths": [1]}


def test_unknown_names_are_errors_that_list_the_known() -> None:
    small = Input(size=48)
    with pytest.raises(PocketfaceError, match=r"no architecture 'resnet'; there are .*compact"):
        models.build("resnet", small, ["age"])
    with pytest.raises(PocketfaceError, match=r"no option \['width'\]; it has \['widths'"):
        models.build("compact", small, ["age"], {"width": [8]})
    with pytest.raises(PocketfaceError, match="no kind 'coral'; there are regression, expected, ordinal"):
        models.build("compact", small, ["age"], TINY | {"age": "coral"})
    with pytest.raises(PocketfaceError, match="no such head"):
        models.build("compact", small, ["gender"], TINY | {"age": "ordinal"})


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan("lite_age", 64, 3, ["age"]), "cannot be built for 64x64x3"),
        (Plan("compact", 48, 3, ["age"], {"widths": [4, 8], "depths": [1]}), "cannot be built"),
        (Plan("compact", 48, 3, ["age"], {"widths": 4}), "cannot be built"),
        (Plan("deepface_vgg", 96, 3, ["age"]), "224x224"),
        (Plan("transfer", 48, 3, ["age"], {"backbone": "vgg19"}), "not 'vgg19'"),
        (Plan("transfer", 48, 3, ["age"], {"freeze": "some"}), "no layer 'some'"),
    ],
)
def test_what_cannot_be_built_is_a_clear_error(plan: Plan, message: str) -> None:
    with pytest.raises(PocketfaceError, match=message):
        plan.build()


def test_one_beyond_all_memory_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr("pocketface.layers.heads.attach", refused)
    with pytest.raises(PocketfaceError, match=r"cannot be built for 48x48x3 .*OOM"):
        Plan("compact", 48, 3, ["age"], TINY).build()


def test_macs_of_every_kind_of_layer() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(image)  # 64 positions x 27 x 4
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(x)  # 16 x 9 x 4
    x = keras.layers.SeparableConv2D(5, 3, padding="same")(x)  # 16 x (9 x 4 + 4 x 5)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(6)(x))  # 5 x 6
    assert macs(model) == 64 * 27 * 4 + 16 * 9 * 4 + 16 * (36 + 20) + 30


def test_an_architecture_imports_no_other() -> None:
    for path in Path(models.__file__).parent.glob("*.py"):
        assert "from pocketface.models" not in path.read_text(encoding="utf-8"), path
