"""Architectures: one module each. Its name is that in `params.yaml`.

Its function `features(image, **options)` maps raw pixels `[N, H, W, C]`, 0..255, to features `[N, D]`, or to
a map `[N, H, W, D]`. Normalisation is its first layer. The options are those of `features`, and the kinds of
the heads (`age: expected`), see `pocketface.layers.heads`. Keras is imported only when a model is built.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketface.core.errors import PocketfaceError
from pocketface.faces.settings import Input

if TYPE_CHECKING:
    import keras

PRETRAINED = "weights"
"""Option of an architecture that names a file of weights to start training from."""
OWN = "own"
"""The architecture of a network that somebody brings: no module of ours builds it."""
CONFIG = "architecture.json"
"""What it is built from instead, beside its weights, in the words of Keras."""


def names() -> list[str]:
    """The architectures there are, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def build(
    architecture: str,
    input: Input,
    heads: list[str],
    options: dict[str, Any] | None = None,
    pretrained: bool = True,
) -> "keras.Model":
    """Builds an untrained model.

    Args:
        architecture: a module of this package.
        input: the size and channels of the faces.
        heads: what it answers, see `pocketface.layers.heads`.
        options: keyword arguments of the architecture's `features`, and kinds of heads.
        pretrained: whether to load the weights that the options name.

    Returns:
        A model with the input `image`, float `[N, size, size, channels]` in 0..255, and outputs named for the
        heads, number `[N, 1]` or classes `[N, K]`.

    Raises:
        PocketfaceError: no such architecture, it has no such option, or cannot be built with these.
    """
    import keras
    from tensorflow.errors import ResourceExhaustedError

    from pocketface.layers.heads import attach, split_options

    if architecture not in names():
        raise PocketfaceError(f"no architecture {architecture!r}; there are {', '.join(names())}")
    features = importlib.import_module(f"{__name__}.{architecture}").features
    kinds, settings = split_options(options or {}, heads)
    known = list(inspect.signature(features).parameters)[1:]
    if unknown := sorted(set(settings) - set(known)):
        raise PocketfaceError(f"architecture {architecture} has no option {unknown}; it has {known}")
    if not pretrained:
        settings.pop(PRETRAINED, None)
    # Keras numbers layer names on through a process, and they end up in the bytes of a `.tflite`.
    keras.utils.clear_session(free_memory=False)
    image = keras.Input((input.size, input.size, input.channels), name="image")
    try:
        outputs = attach(features(image, **settings), heads, kinds)
    except (TypeError, ValueError, MemoryError, ResourceExhaustedError) as error:
        raise PocketfaceError(
            f"architecture {architecture} cannot be built for {input.size}x{input.size}x{input.channels} "
            f"with the options {settings}: {error}"
        ) from None
    return keras.Model(image, outputs, name=architecture)


def rebuild(folder: Path) -> "keras.Model":
    """Builds an own network from what its import has checked and written to a folder; if that is missing or
    damaged, a `PocketfaceError`.
    """
    import keras

    from pocketface.layers.heads import OWN_LAYERS

    keras.utils.clear_session(free_memory=False)
    try:
        config = (folder / CONFIG).read_text(encoding="utf-8")
        return keras.models.model_from_json(config, OWN_LAYERS)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PocketfaceError(
            f"{folder / CONFIG}: cannot be built ({error}); import the model again"
        ) from None
