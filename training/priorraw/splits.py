"""Which scene goes to train, val or test: by a seed, or where the same scene went for another camera."""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from priorraw.dataset import mask_of
from priorraw.errors import InputError

MATCH = 0.75  # correlation of thumbnails above which two pictures show one scene by looks alone
ALIGN = 0.3  # and above which a pair adds to an alignment in order of shooting
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

    White balance, logarithm and mean take the camera and the exposure out; what stays is the scene's layout.
    Cells that are mostly masked count as average.
    """
    import cv2

    side = (THUMBNAIL, THUMBNAIL)
    valid = mask_of(raw).astype(np.float32)
    luminance = (raw * gains).mean(-1).astype(np.float32)  # 0 where masked
    seen = cv2.resize(valid, side, interpolation=cv2.INTER_AREA).ravel()
    mean = cv2.resize(luminance, side, interpolation=cv2.INTER_AREA).ravel() / np.maximum(seen, 1e-6)
    log = np.log(mean + 1e-3)
    usable = seen > 0.25
    log = np.where(usable, log - log[usable].mean() if usable.any() else 0, 0)
    return (log / max(float(np.linalg.norm(log)), 1e-6)).astype(np.float32)


def same_scenes(own: np.ndarray, other: np.ndarray) -> dict[int, tuple[bool, float, int]]:
    """Which pictures of two cameras show one scene: own index -> (by order, correlation, other index).

    `own` (N, D) and `other` (M, D) are thumbnails in order of shooting. Cameras see other fields of view at
    other moments, so that looks alone find only half of the pairs. Where both cameras went through the scenes
    in the same order, the best alignment in order (as of two strings) finds them; looks find the rest.
    """
    likeness = own @ other.T
    best = likeness.argmax(1)
    found = {i: (False, float(likeness[i, j]), int(j)) for i, j in enumerate(best.tolist()) if likeness[i, j] > MATCH}
    pairs, score = _align(likeness - ALIGN)
    # A chance order also aligns somewhat: only an order that beats shuffled ones clearly is believed.
    rng = np.random.default_rng(0)
    chance = max(_align(likeness[rng.permutation(len(own))] - ALIGN)[1] for _ in range(3))
    if score > 2 * chance:
        found |= {i: (True, float(likeness[i, j]), j) for i, j in _fill(pairs)}
    return found


def follow(thumbnails: dict[str, np.ndarray], others: Sequence[dict[str, tuple[str, np.ndarray]]]) -> dict[str, str]:
    """name -> split of the same scene in another camera's dataset, for the scenes that have one.

    `thumbnails` are ours by name; each of `others` is a dataset: name -> (split, thumbnail). Names sort in
    order of shooting. A match by order beats one by looks, then the higher correlation wins.
    """
    names = sorted(thumbnails)
    own = np.stack([thumbnails[name] for name in names])
    best: dict[str, tuple[bool, float, str]] = {}
    for other in others:
        theirs = [other[name] for name in sorted(other)]
        matches = same_scenes(own, np.stack([t for _, t in theirs]))
        for i, (ordered, likeness, j) in matches.items():
            best[names[i]] = max(best.get(names[i], (False, -1.0, "")), (ordered, likeness, theirs[j][0]))
    return {name: split for name, (_, _, split) in best.items()}


def _align(gain: np.ndarray) -> tuple[list[tuple[int, int]], float]:
    """Pairs (i, j), both rising, of the greatest total gain, and that total. Needleman and Wunsch 1970."""
    N, M = gain.shape
    total = np.zeros((N + 1, M + 1))
    for i in range(N):
        total[i + 1, 1:] = np.maximum.accumulate(np.maximum(total[i, 1:], total[i, :-1] + gain[i]))
    pairs, i, j = [], N, M
    while i and j:
        if total[i, j] == total[i - 1, j]:
            i -= 1
        elif total[i, j] == total[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1], float(total[N, M])


def _fill(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Add what lies between two pairs at equal distance on both sides: the same walk, too unlike to align."""
    between = [(i + k, j + k) for (i, j), (i2, j2) in pairwise(pairs) if i2 - i == j2 - j for k in range(1, i2 - i)]
    return sorted(pairs + between)
