"""Which scene goes to train, val or test: by a seed, or where the same scene went for another camera."""

import re
from collections.abc import Sequence

import numpy as np

from priorraw.errors import InputError

MATCH = 0.75  # correlation of white-balanced log thumbnails above which two pictures show one scene
THUMBNAIL = 16


def parse_splits(text: str) -> dict[str, float]:
    """`train=0.7,val=0.1,test=0.2` or one bare name (everything) to name -> fraction.

    Raises:
        InputError: the text is neither, a fraction is not in (0, 1], or they do not add up to 1.
    """
    splits: dict[str, float] = {}
    for part in [f"{text}=1"] if re.fullmatch(r"[\w-]+", text) else text.split(","):
        match = re.fullmatch(r"\s*([\w-]+)\s*=\s*([0-9.eE+-]+)\s*", part)
        try:
            fraction = float(match[2]) if match else 0.0
        except ValueError:
            fraction = 0.0
        if match is None or not 0 < fraction <= 1 or match[1] in splits:
            raise InputError(f"--split {text!r}: write train=0.7,val=0.1,test=0.2 or one name such as test")
        splits[match[1]] = fraction
    if abs(sum(splits.values()) - 1) > 1e-6:
        raise InputError(f"--split {text!r}: the fractions add up to {sum(splits.values()):g}, not 1")
    return splits


def assign(names: Sequence[str], splits: dict[str, float], seed: int) -> dict[str, str]:
    """name -> split. Sizes by largest remainder; depends on names, fractions and seed alone."""
    order = np.array(sorted(names))[np.random.default_rng(seed).permutation(len(names))]
    exact = np.array(list(splits.values())) * len(names)
    sizes = np.floor(exact).astype(int)
    for i in np.argsort(sizes - exact, kind="stable")[: len(names) - sizes.sum()]:
        sizes[i] += 1
    labels = np.repeat(list(splits), sizes)
    return dict(zip(order.tolist(), labels.tolist(), strict=True))


def thumbnail(raw: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """(THUMBNAIL**2,) log-luminance of the white-balanced picture, area means, zero mean and unit length.

    White balance and the logarithm take the camera and the exposure out; what stays is the scene's layout.
    """
    import cv2

    luminance = (raw * gains).mean(-1).astype(np.float32)
    small = cv2.resize(luminance, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
    log = np.log(small + 1e-3)
    log -= log.mean()
    return log / max(float(np.linalg.norm(log)), 1e-6)


def follow(thumbnails: dict[str, np.ndarray], others: Sequence[tuple[str, np.ndarray]]) -> dict[str, str]:
    """name -> split of the most alike picture among `others` (split, thumbnail), where it is above MATCH."""
    bank = np.stack([t for _, t in others])
    found = {}
    for name, own in thumbnails.items():
        likeness = bank @ own
        best = int(likeness.argmax())
        if likeness[best] > MATCH:
            found[name] = others[best][0]
    return found
