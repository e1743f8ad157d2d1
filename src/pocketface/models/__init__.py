"""Architectures: one module each, one interface.

    model = build(study.models["age_gender"])       # a keras.Model
    model(image)                                     # {'age': [N, 1], 'gender': [N, 2]}

A module of this package (other than `heads`) *is* an architecture: its name is the name in `params.yaml`,
and its function `features(image, **options)` maps raw pixels `[N, H, W, C]`, 0..255, to features `[N, D]`.
Normalisation is the module's first layer, inside the graph, so nobody can do it twice or not at all.
To add one: a module here and its name under `models.NAME.architecture` in params.

Keras is imported only when a model is built: `names` is cheap.
"""

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, Any

from pocketface.errors import PocketfaceError

if TYPE_CHECKING:
    import keras

    from pocketface.study import Input

NOT_ARCHITECTURES = {"heads", "macs"}


def names() -> list[str]:
    """The architectures there are, sorted."""
    return sorted({module.name for module in pkgutil.iter_modules(__path__)} - NOT_ARCHITECTURES)


def build(
    architecture: str, input: "Input", heads: list[str], options: dict[str, Any] | None = None
) -> "keras.Model":
    """Builds an untrained model.

    Args:
        architecture: a module of this package.
        input: the size and channels of the faces.
        heads: what it answers, see `pocketface.models.heads`.
        options: keyword arguments of the architecture's `features`.

    Returns:
        A model with the input `image`, float `[N, size, size, channels]` in 0..255, and a dict of
        outputs named for the heads.

    Raises:
        PocketfaceError: no such architecture, or it has no such option.
    """
    import keras

    from pocketface.models.heads import attach

    if architecture not in names():
        raise PocketfaceError(f"no architecture {architecture!r}; there are {', '.join(names())}")
    features = importlib.import_module(f"{__name__}.{architecture}").features
    options = options or {}
    known = list(inspect.signature(features).parameters)[1:]
    if unknown := sorted(set(options) - set(known)):
        raise PocketfaceError(f"architecture {architecture} has no option {unknown}; it has {known}")
    # Keras numbers layer names on through a process, and they end up in the bytes of a `.tflite`.
    keras.utils.clear_session(free_memory=False)
    image = keras.Input((input.size, input.size, input.channels), name="image")
    outputs = attach(features(image, **options), heads)
    return keras.Model(image, outputs, name=architecture)
