"""`prepare`: sources to a pair dataset, one scene at a time, so that memory holds one picture only."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from priorraw import cameras, isp
from priorraw.dataset import FORMAT, MARKER, PairDataset, mask_of, write_png
from priorraw.errors import InputError
from priorraw.files import atomic_folder, read_json, sha256, visible, write_json
from priorraw.progress import say, track
from priorraw.sources import CameraJpegs, Scene, Source, open_source
from priorraw.splits import assign, follow, thumbnail

KINDS = ("raw", "srgb")


@dataclass(frozen=True)
class Summary:
    """What was made."""

    folder: Path
    camera: str
    pairs: dict[str, int]  # per split
    matched: int  # scenes that follow another dataset's split
    skipped: list[str]  # one line per source or scene left out
    closed_form_psnr: float | None = None  # dB, of the camera's JPEGs undone by the software ISP's inverse


def prepare(
    sources: Sequence[Path],
    out: Path,
    splits: dict[str, float],
    *,
    camera: str | None = None,
    color_matrix: np.ndarray | None = None,
    seed: int = 0,
    size: int | None = None,
    srgb_bits: int = 8,
    like: Sequence[Path] = (),
    black: float | None = None,
    white: float | None = None,
    skip_bad: bool = False,
    binned: bool = False,
    camera_srgb: bool = False,
) -> Summary:
    """Write the pair dataset `out` from camera files, packs and PNG folders (see `priorraw.sources`).

    Args:
        splits: name -> fraction, adding up to 1 (`priorraw.splits.parse_splits`).
        camera: the dataset's camera; camera files name their own.
        color_matrix: (3, 3) XYZ (D65) to camera; default the camera file's, else the known camera's.
        size: long side to shrink larger pictures to, by area means in linear raw; None keeps them.
        like: datasets of other cameras; the same scene takes the split it has there.
        black, white: levels of packs and PNG folders in counts, 0 and 65535 by default.
        skip_bad: leave out what cannot be read and say so; otherwise the first such thing ends it all.
        binned: read camera files at half the size, without demosaic: far less memory.
        camera_srgb: the sRGB is the camera's own JPEG and the raw-RGB is resampled to its pixels (`camera_jpeg`);
            camera files only, 8 bits.

    Raises:
        InputError: a source cannot be used, cameras differ, nothing is left; `out` is then as it was.
    """
    if camera_srgb and srgb_bits != 8:
        raise InputError("--srgb camera: a JPEG holds 8 bits; leave out --srgb-bits")
    jpegs = CameraJpegs(size) if camera_srgb else None
    skipped: list[str] = []
    others = [_dataset_thumbnails(folder, splits) for folder in like]
    images: dict[str, dict[str, Any]] = {}
    thumbnails: dict[str, np.ndarray] = {}
    first: _Camera | None = None
    with atomic_folder(out, MARKER) as folder:
        # Splits are drawn at the end, when it is known which scenes are good.
        pending = _make_split(folder, ".pending")
        for scene in _walk(sources, black, white, color_matrix, skip_bad, skipped, binned, jpegs):
            own = _camera_of(scene, camera, color_matrix)
            first = first or own
            _check_same_camera(own, first)
            if scene.name in images:
                raise InputError(f"{scene.source}: a second scene is named {scene.name!r}; rename one")
            raw, srgb = _pair(scene, np.array(own.matrix), size, srgb_bits)
            images[scene.name] = {
                "illuminant": [float(v) for v in scene.illuminant],
                "source": scene.source,
                "raw_sha256": _write(pending / "raw" / f"{scene.name}.png", raw),
                "srgb_sha256": _write(pending / "srgb" / f"{scene.name}.png", srgb),
                **scene.facts,
            }
            if others:
                gains = isp.gains_from_illuminant(scene.illuminant)
                thumbnails[scene.name] = thumbnail(isp.dequantise(raw), gains)
        if first is None:
            raise InputError(f"{sources[0]}: no scene is left, all were skipped; see the lines above")
        followed = follow(thumbnails, others) if others else {}
        split_of = assign([n for n in images if n not in followed], splits, seed) | followed
        for split in splits:
            _make_split(folder, split)
        for name, split in split_of.items():
            images[name]["split"] = split
            for kind in KINDS:
                (pending / kind / f"{name}.png").rename(folder / split / kind / f"{name}.png")
        shutil.rmtree(pending)
        meta = {
            "format": FORMAT,
            "camera": first.name,
            "color_matrix": first.matrix,
            "black_level": first.black,
            "white_level": first.white,
            "srgb_bits": srgb_bits,
            "isp": {"tone_shoulder": isp.TONE_SHOULDER} if jpegs is None else None,  # None: the camera's own
            "seed": seed,
            "splits": splits,
            "images": images,
        }
        write_json(folder / MARKER, meta)
    pairs = {split: sum(s == split for s in split_of.values()) for split in splits}
    gaps = [image["closed_form_psnr"] for image in images.values() if "closed_form_psnr" in image]
    return Summary(out, first.name, pairs, len(followed), skipped, float(np.mean(gaps)) if gaps else None)


def _pair(scene: Scene, matrix: np.ndarray, size: int | None, srgb_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """uint16 raw-RGB, and its sRGB codes: the camera's, or what the software ISP makes of it, masked pixels 0."""
    if scene.srgb is not None:
        return isp.quantise(scene.raw, 16), scene.srgb
    codes = isp.quantise(shrink(scene.raw, size), 16)
    if not codes.any():
        raise InputError(f"{scene.source}: {scene.name!r} has no unmasked pixel left at --size {size}")
    # Rendered from the codes, not from the float picture: a reader of the pair sees the codes.
    srgb = isp.render(isp.dequantise(codes), isp.gains_from_illuminant(scene.illuminant), matrix)
    return codes, isp.quantise(srgb, srgb_bits)


def shrink(raw: np.ndarray, size: int | None) -> np.ndarray:
    """Area-resize (H, W, 3) linear raw-RGB so that its long side is `size`; never enlarges.

    A pixel that takes in any masked one becomes masked: half a colour checker is no measurement.
    """
    import cv2

    H, W = raw.shape[:2]
    if size is None or max(H, W) <= size:
        return raw
    new = (max(1, round(W * size / max(H, W))), max(1, round(H * size / max(H, W))))
    masked = cv2.resize((~mask_of(raw)).astype(np.float32), new, interpolation=cv2.INTER_AREA) > 0
    small = cv2.resize(raw, new, interpolation=cv2.INTER_AREA)
    small[masked] = 0
    return small


@dataclass(frozen=True)
class _Camera:
    """What must agree among all scenes of a dataset, and the levels of the first of them."""

    name: str
    model: str | None  # as the camera file says; None for packs and PNG folders
    matrix: list[list[float]]
    source: str
    black: float | list[float]
    white: float


def _camera_of(scene: Scene, camera: str | None, color_matrix: np.ndarray | None) -> _Camera:
    name = camera or scene.camera
    if name is None:
        raise InputError(f"{scene.source}: does not say which camera it is from; pass --camera")
    matrix = color_matrix if color_matrix is not None else scene.color_matrix
    if matrix is None:
        if name not in cameras.COLOR_MATRICES:
            unknown = cameras.unknown_camera(name, cameras.COLOR_MATRICES)
            raise InputError(f"{unknown}; or pass --color-matrix")
        matrix = cameras.color_matrix(name)
    return _Camera(name, scene.camera, matrix.tolist(), scene.source, scene.black, scene.white)


def _check_same_camera(own: _Camera, first: _Camera) -> None:
    if own.model != first.model:
        theirs, ours = (c.model or f"a pack or PNG folder of {c.name}" for c in (own, first))
        raise InputError(
            f"{own.source}: is from {theirs}, {first.source} from {ours}; keep each camera in a folder of its own"
        )


def _walk(
    paths: Sequence[Path],
    black: float | None,
    white: float | None,
    color_matrix: np.ndarray | None,
    skip_bad: bool,
    skipped: list[str],
    binned: bool,
    jpegs: CameraJpegs | None,
) -> Iterator[Scene]:
    """All usable scenes of all sources, with progress. What is bad ends it, or is named and passed over."""

    def bad(error: InputError) -> None:
        if not skip_bad:
            raise error
        say(f"skipped: {error}")
        skipped.append(str(error))

    opened: list[Source] = []
    for path in paths:
        try:
            opened.append(open_source(path, black, white, color_matrix, binned=binned, jpegs=jpegs))
        except InputError as error:
            bad(error)
    scenes = (scene for source in opened for scene in source.scenes())
    for scene in track(scenes, "prepare", total=sum(source.count for source in opened)):
        if isinstance(scene, InputError):
            bad(scene)
        else:
            yield scene


def _make_split(folder: Path, split: str) -> Path:
    for kind in KINDS:
        (folder / split / kind).mkdir(parents=True)
    return folder / split


def _write(path: Path, picture: np.ndarray) -> str:
    write_png(path, picture)
    return sha256(path)


def _dataset_thumbnails(folder: Path, splits: dict[str, float]) -> dict[str, tuple[str, np.ndarray]]:
    """name -> (split, thumbnail) of every picture of another camera's dataset."""
    theirs = read_json(folder / MARKER).get("splits")
    if not isinstance(theirs, dict) or len(theirs) < 2 or not theirs.keys() <= splits.keys():
        raise InputError(f"{folder}: --like needs a dataset of several splits, all in --split ({', '.join(splits)})")
    found = {}
    for split in theirs:
        if not visible(folder / split / "raw", ".png"):
            continue
        pairs = PairDataset.open(folder, split)
        for i in track(range(len(pairs)), f"reading {folder} {split}"):
            gains = isp.gains_from_illuminant(pairs.illuminant(i))
            found[pairs.names[i]] = (split, thumbnail(pairs.pair(i)[0], gains))
    if not found:
        raise InputError(f"{folder}: holds no pairs to match scenes with; leave that --like out")
    return found
