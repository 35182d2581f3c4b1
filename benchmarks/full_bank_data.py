"""python -m benchmarks.full_bank_data: a hundred pairs of 1024x1024, as many as the paper's banks are made from.

What a bank costs depends on how its features lie, so they are those of photographs: camera files cut into crops,
linear panoramas rendered, and, since both together are too few, copies of the crops that are shifted, mirrored,
exposed anew and seen under another light. The crops of several cameras count as one camera's: a bank of them is for
measuring cost, not for use.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
from priorraw import isp
from priorraw.cameras import color_matrix
from priorraw.dataset import FORMAT, MARKER, write_png
from priorraw.errors import InputError
from priorraw.files import atomic_folder, write_json
from priorraw.progress import say, track
from priorraw.raw_io import EXTENSIONS, read_camera_file

from benchmarks.calls import main

SIDE = 1024
CAMERA = "cost-mixture"
PANORAMA_CAMERA = "sony-slt-a57"
EXPOSURE = 0.5  # standard deviation of the copies' exposure, natural logarithm
TINT = 0.2  # and of their lights


def crops_of(raw: np.ndarray, start: int) -> Iterator[np.ndarray]:
    """All whole crops (SIDE, SIDE, 3) of a grid that begins at pixel `start`."""
    for y in range(start, raw.shape[0] - SIDE + 1, SIDE):
        for x in range(start, raw.shape[1] - SIDE + 1, SIDE):
            yield raw[y : y + SIDE, x : x + SIDE]


Pair = tuple[str, np.ndarray, np.ndarray, np.ndarray]  # name, raw (SIDE, SIDE, 3), illuminant (3,), colour matrix


def of_camera_files(folder: Path, start: int = 0) -> Iterator[Pair]:
    """Crops of every camera file of a folder at full size, demosaiced."""
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS):
        shot = read_camera_file(path)
        for i, crop in enumerate(crops_of(shot.raw, start)):
            yield f"{path.stem}-{i:02d}", crop, shot.illuminant, shot.color_matrix


def of_panoramas(folder: Path) -> Iterator[Pair]:
    """Bands of 1024x256 scene-linear sRGB, four under each other, as a camera would see them in daylight."""
    matrix = color_matrix(PANORAMA_CAMERA)
    light = np.array([0.5, 1.0, 0.65])
    bands = sorted(folder.glob("*.hdr"))
    for i in range(0, len(bands) - 3, 4):
        stacked = []
        for path in bands[i : i + 4]:
            read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if read is None:
                raise InputError(f"{path}: not a readable panorama; leave it out")
            linear = read[: SIDE // 4, :SIDE, ::-1]
            balanced = isp.apply_matrix(linear / np.float32(np.percentile(linear, 98)), isp.camera_from_srgb(matrix))
            stacked.append(np.clip(isp.unbalance(balanced, isp.gains_from_illuminant(light)), 0, 1))
        raw = np.concatenate(stacked).astype(np.float32)
        if raw.shape == (SIDE, SIDE, 3):
            yield f"panoramas-{i // 4:02d}", raw, light, matrix


def augmented(folder: Path, random: np.random.Generator) -> Iterator[Pair]:
    """Without end: crops of another grid, mirrored, exposed anew, under another light."""
    for turn in range(100):
        start = 64 * (turn + 1) + 32
        for name, crop, light, matrix in of_camera_files(folder, start):
            tint = np.exp(TINT * random.standard_normal(3))
            raw = np.clip(crop[:, ::-1] * (tint * np.exp(EXPOSURE * random.standard_normal())), 0, 1)
            yield f"augmented-{turn}-{name}", raw.astype(np.float32), light * tint, matrix


def all_pairs(data: Path, random: np.random.Generator) -> Iterator[Pair]:
    yield from of_camera_files(data / "raws")
    yield from of_panoramas(data / "hdri")
    yield from augmented(data / "raws", random)


def write(data: Path, out: Path, count: int, seed: int) -> dict[str, int]:
    """Write the pair dataset; how many pictures came from where."""
    images: dict[str, dict] = {}
    kinds = {"camera files": 0, "panoramas": 0, "augmented": 0}
    with atomic_folder(out, MARKER) as folder:
        for kind in ("raw", "srgb"):
            (folder / "train" / kind).mkdir(parents=True)
        pairs = zip(range(count), all_pairs(data, np.random.default_rng(seed)), strict=False)
        for _, (name, raw, light, matrix) in track(pairs, "write pairs", total=count):
            codes = np.maximum(isp.quantise(raw, 16), 1)  # 0 in all channels would be a mask
            srgb = isp.render(isp.dequantise(codes), isp.gains_from_illuminant(light), matrix)
            write_png(folder / "train" / "raw" / f"{name}.png", codes)
            write_png(folder / "train" / "srgb" / f"{name}.png", isp.quantise(srgb, 8))
            images[name] = {"illuminant": [float(v) for v in light], "split": "train"}
            kind = name.split("-")[0]
            kinds[kind if kind in kinds else "camera files"] += 1
        if not images:
            raise InputError(f"{data}: holds no camera files in raws/ and no panoramas in hdri/")
        matrix = color_matrix(PANORAMA_CAMERA).tolist()
        write_json(
            folder / MARKER, {"format": FORMAT, "camera": CAMERA, "color_matrix": matrix, "isp": {}, "images": images}
        )
    return kinds


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("data/cost-mixture"), show_default=True)
@click.option("--pictures", default=100, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True)
def command(data: Path, out: Path, pictures: int, seed: int) -> None:
    """Write --pictures pairs from the camera files in DATA/raws and the panoramas in DATA/hdri."""
    for kind, number in write(data, out, pictures, seed).items():
        say(f"{number} from {kind}")
    click.echo(out)


if __name__ == "__main__":
    main(command, "full_bank_data")
