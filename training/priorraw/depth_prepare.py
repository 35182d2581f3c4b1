"""`prepare --task bit-depth`: pictures of 8 or 16 bits to pairs of low and high codes, in plain PNG files.

{split}/low/NAME.png    RGB, the low codes, zero-padded to the container's bits
{split}/high/NAME.png   RGB, the high codes, likewise; 8-bit files up to 8 bits, 16-bit files above
dataset.json            task, the two depths, and the source of every picture
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from priorraw.bit_depth import TASK, Depths
from priorraw.dataset import FORMAT, MARKER, write_png
from priorraw.depth_dataset import padded
from priorraw.errors import InputError
from priorraw.files import atomic_folder, sha256, write_json
from priorraw.progress import say, track
from priorraw.splits import assign

LEAST_SIDE = 16  # of a picture; SSIM's window is 11


@dataclass(frozen=True)
class Source:
    """One picture: its name, where it is from, and its RGB codes (H, W, 3) uint8 or uint16, or why there are none."""

    name: str
    origin: str
    codes: np.ndarray | InputError


@dataclass(frozen=True)
class Summary:
    """What was made."""

    folder: Path
    pairs: dict[str, int]  # per split
    megapixels: float
    skipped: list[str]  # one line a picture left out


def prepare_depths(
    sources: Iterable[Source],
    count: int,
    out: Path,
    depths: Depths,
    splits: dict[str, float],
    *,
    seed: int = 0,
    shrink: int = 1,
    skip_bad: bool = False,
) -> Summary:
    """Write the dataset `out`, one picture in memory at a time.

    Args:
        count: how many sources there are, for the progress.
        splits: name -> fraction, adding up to 1 (`priorraw.splits.parse_splits`).
        shrink: reduce pictures by this whole factor, by area means of the codes as they are: hides what a demosaic
            or a JPEG left. 8-bit pictures gain depth by it and are taken as 16-bit ones.
        skip_bad: leave out what cannot be used and say so; otherwise the first such picture ends it all.

    Raises:
        InputError: a picture cannot be used, two have one name, nothing is left; `out` is then as it was.
    """
    images: dict[str, dict[str, Any]] = {}
    skipped: list[str] = []
    pixels = 0
    with atomic_folder(out, MARKER) as folder:
        pending = _make_split(folder, ".pending")
        for source in track(sources, "prepare", total=count):
            high = _high(source, depths, shrink)
            if isinstance(high, InputError):
                if not skip_bad:
                    raise high
                say(f"skipped: {high}")
                skipped.append(str(high))
                continue
            if source.name in images:
                raise InputError(f"{source.origin}: a second picture is named {source.name!r}; rename one")
            low = depths.zero_padded(depths.lower(high))
            pixels += high.shape[0] * high.shape[1]
            images[source.name] = {
                "source": Path(source.origin).name,
                **{
                    f"{kind}_sha256": _write(pending / kind / f"{source.name}.png", padded(codes, depths))
                    for kind, codes in (("low", low), ("high", high))
                },
            }
        if not images:
            raise InputError(f"{out}: no picture is left to make it of; see the lines above")
        for split in splits:
            _make_split(folder, split)
        for name, split in assign(list(images), splits, seed).items():
            images[name]["split"] = split
            for kind in ("low", "high"):
                (pending / kind / f"{name}.png").rename(folder / split / kind / f"{name}.png")
        shutil.rmtree(pending)
        meta: dict[str, Any] = {"format": FORMAT, "task": TASK, "low_bits": depths.low, "high_bits": depths.high}
        write_json(folder / MARKER, {**meta, "seed": seed, "splits": splits, "shrink": shrink, "images": images})
    counts = {split: sum(image["split"] == split for image in images.values()) for split in splits}
    return Summary(out, counts, pixels / 1e6, skipped)


def _high(source: Source, depths: Depths, shrink: int) -> np.ndarray | InputError:
    codes = source.codes
    if isinstance(codes, InputError):
        return codes
    if shrink > 1:
        codes = _shrink(codes, shrink)
    if min(codes.shape[:2]) < LEAST_SIDE:
        H, W = codes.shape[:2]
        return InputError(f"{source.origin}: {W}x{H} is too small, {LEAST_SIDE} a side are needed; leave it out")
    try:
        return depths.reduce(codes)
    except InputError as error:
        return InputError(f"{source.origin}: {error}")


def _shrink(codes: np.ndarray, factor: int) -> np.ndarray:
    """Means of factor x factor blocks, as uint16 of full scale 65535; what is left at the right and below is cut."""
    H, W = (side // factor * factor for side in codes.shape[:2])
    blocks = codes[:H, :W].reshape(H // factor, factor, W // factor, factor, 3)
    scale = 65535 // np.iinfo(codes.dtype).max
    return np.rint(blocks.mean((1, 3)) * scale).astype(np.uint16)


def _make_split(folder: Path, split: str) -> Path:
    for kind in ("low", "high"):
        (folder / split / kind).mkdir(parents=True)
    return folder / split


def _write(path: Path, picture: np.ndarray) -> str:
    write_png(path, picture)
    return sha256(path)


def hdr_source(path: Path) -> Source:
    """A Radiance picture (RGBE, scene-linear) as a 16-bit sRGB picture, its brightest 3 % clipped, and dithered.

    RGBE has 8 bits of mantissa, shared by the channels: uniform noise of one step fills the gaps between its codes.
    """
    import cv2

    from priorraw.isp import quantise, srgb_encode, tone

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.dtype != np.float32:
        return Source(path.stem, str(path), InputError(f"{path}: is no Radiance picture; replace the file"))
    linear = picture[..., ::-1].astype(np.float64)
    step = 2.0 ** (np.ceil(np.log2(np.maximum(linear.max(-1, keepdims=True), 1e-30))) - 8)
    noise = np.random.default_rng(0).random(linear.shape) - 0.5
    linear = np.clip((linear + step * noise) / max(float(np.quantile(linear.max(-1), 0.97)), 1e-30), 0, 1)
    return Source(path.stem, str(path), quantise(srgb_encode(tone(linear)), 16))
