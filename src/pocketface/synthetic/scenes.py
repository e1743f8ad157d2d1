"""A photograph around synthetic faces: a background, faces at some scale and tilt, light, a camera's grain.

A photograph is uint8 `[H, W, 3]`, 160 to 400 pixels a side: finding faces costs by the pixel.
"""

import cv2
import numpy as np

SIDES = (230, 360)
"""Pixels of a photograph's sides."""
WIDTHS = (140, 230)
"""Pixels of a face with its surroundings; that of the face itself is little more than half of it."""
TILT = 25.0
"""Degrees to either side, at most."""
SMALL = 0.7
"""Of the sides where there is no whole face, which takes a detector longest."""
GREY_SHARE = 0.1
"""Of photographs without colour."""

Random = np.random.Generator


def single(face: np.ndarray, random: Random) -> np.ndarray:
    """A photograph of one face, whole, anywhere in it. `face` is uint8 `[N, N, 3]`, as are all here."""
    height, width = _sides(random)
    scene = background(height, width, random)
    side = random.uniform(WIDTHS[0], min(WIDTHS[1], height, width))
    reach = 0.42 * side  # the outer parts of a canvas fade into the background and may be cut
    centre = random.uniform((reach, reach), (width - reach, height - reach))
    return developed(paste(scene, face, centre, side, _tilt(random)), random)


def none(random: Random) -> np.ndarray:
    """A photograph without anybody."""
    return developed(background(*_sides(random, SMALL), random), random)


def two(left: np.ndarray, right: np.ndarray, random: Random) -> np.ndarray:
    """A photograph of two faces side by side."""
    side = random.uniform(170, 200)
    height, width = round(random.uniform(1.1, 1.3) * side), round(random.uniform(1.9, 2.1) * side)
    scene = background(height, width, random)
    for face, x in ((left, 0.25), (right, 0.75)):
        centre = np.array([x * width, random.uniform(0.45, 0.55) * height])
        scene = paste(scene, face, centre, side, _tilt(random) / 2)
    return developed(scene, random)


def cut(face: np.ndarray, random: Random) -> np.ndarray:
    """A photograph whose edge runs through the only face: a third of it or less is to be seen."""
    height, width = _sides(random, SMALL)
    side = random.uniform(*WIDTHS)
    beyond = random.uniform(0.12, 0.3) * side
    centre = random.uniform((0.0, 0.0), (width, height))
    edge = random.integers(4)
    centre[edge % 2] = -beyond if edge < 2 else (width, height)[edge % 2] + beyond
    scene = background(height, width, random)
    return developed(paste(scene, face, centre, side, _tilt(random)), random)


def background(height: int, width: int, random: Random) -> np.ndarray:
    """A gradient, some blurred blobs, a few lines, a coarse texture: float32 `[height, width, 3]`, 0..255."""
    scene = cv2.resize(_colours(random, 2, 2), (width, height), interpolation=cv2.INTER_LINEAR)
    for _ in range(random.integers(0, 6)):
        colour = _colours(random, 1, 1)[0, 0].tolist()
        axes = random.integers(10, max(height, width) // 2, 2).tolist()
        middle = random.integers((0, 0), (width, height)).tolist()
        cv2.ellipse(scene, middle, axes, random.uniform(0, 180), 0, 360, colour, -1)
    scene = cv2.GaussianBlur(scene, (0, 0), random.uniform(0.5, 8))
    for _ in range(random.integers(0, 4)):
        start, end = random.integers((0, 0), (width, height), (2, 2)).tolist()
        colour = _colours(random, 1, 1)[0, 0].tolist()
        cv2.line(scene, start, end, colour, int(random.integers(1, 8)), cv2.LINE_AA)
    coarse = random.normal(0, random.uniform(0, 14), (height // 8, width // 8, 1)).astype(np.float32)
    return scene + cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]


def paste(scene: np.ndarray, face: np.ndarray, centre: np.ndarray, side: float, tilt: float) -> np.ndarray:
    """Lays a face over a scene, fading out towards the canvas' edge.

    Args:
        scene: float32 `[H, W, 3]`.
        face: uint8 `[N, N, 3]`.
        centre: x and y of the face in the scene, pixels; it may lie outside.
        side: width that the canvas gets, in pixels.
        tilt: degrees, against the clock.
    """
    size = len(face)
    scale = side / size
    turn = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), tilt, scale)
    turn[:, 2] = turn[:, 2] + centre - (size - 1) / 2
    extent = scene.shape[1], scene.shape[0]
    laid = cv2.warpAffine(
        face.astype(np.float32), turn, extent, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    share = cv2.warpAffine(_fading(size), turn, extent, flags=cv2.INTER_LINEAR)[..., None]
    return share * laid + (1 - share) * scene


def developed(scene: np.ndarray, random: Random) -> np.ndarray:
    """Light from a side, colour of the light, sharpness, contrast, grain: float32 to uint8 `[H, W, 3]`."""
    height, width = scene.shape[:2]
    light = random.uniform(0.85, 1.15, (2, 2, 1)).astype(np.float32)
    scene = scene * cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    scene = scene * random.uniform(0.94, 1.06, 3).astype(np.float32)
    soft = cv2.GaussianBlur(scene, (0, 0), 2.0)
    scene = soft + random.uniform(0.9, 1.9) * (scene - soft)
    scene = (scene - 128) * random.uniform(0.85, 1.15) + 128 + random.uniform(-12, 12)
    if random.random() < GREY_SHARE:
        scene = np.repeat(cv2.cvtColor(scene.astype(np.float32), cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    scene = scene + random.normal(0, random.uniform(0.5, 5), (height, width, 1))
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)


def _sides(random: Random, share: float = 1.0) -> tuple[int, int]:
    height, width = random.integers(SIDES[0], SIDES[1] + 1, 2)
    return int(share * height), int(share * width)


def _colours(random: Random, *shape: int) -> np.ndarray:
    """Muted colours, now and then a strong one: float32 `[*shape, 3]`, about 0..255."""
    strength = random.choice([8.0, 20.0, 60.0], p=[0.4, 0.4, 0.2])
    light = random.uniform(15, 240, (*shape, 1))
    return (light + random.normal(0, strength, (*shape, 3))).astype(np.float32)


def _tilt(random: Random) -> float:
    """Mostly small."""
    return float(np.clip(random.normal(0, TILT / 2.5), -TILT, TILT))


def _fading(size: int) -> np.ndarray:
    """1 in the middle of a canvas, 0 at its edge: float32 `[size, size]`."""
    along = np.abs(np.linspace(-1, 1, size))
    radius = (along[:, None] ** 4 + along[None, :] ** 4) ** 0.25
    share = np.clip((0.98 - radius) / 0.2, 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)
