"""RAW -> ISP -> sRGB -> reconstruct -> DNG -> editor, against the original RAW in the same editor, exposure changed.

    python -m benchmarks.roundtrip data/sony-imx135-scenes --out benchmarks/results/roundtrip.json \\
        --picture docs/images/roundtrip.jpg --page docs/dng.md

What users do: they have a picture that is too dark or too bright. Both DNGs are developed at +2 and -1 EV, and the
camera's tone curve is laid on afterwards, as it lies on the sRGB picture. Beside them what users have otherwise: the
sRGB picture itself, pushed by as much in the same editor.
"""

import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from priorraw import isp
from priorraw.dataset import PairDataset
from priorraw.files import atomic_file, write_json
from priorraw.metrics import psnr
from priorraw.progress import say, track
from priorraw.results import fill, markdown_table
from priorraw_edge.runtime.dng import write_dng
from priorraw_edge.runtime.engine import Engine, open_engine
from priorraw_edge.runtime.reconstruct import reconstruct

from benchmarks.editors import EDITORS, missing

EXPOSURES = (2.0, -1.0)  # EV
JPEG_QUALITY = 95
WAYS = {  # where the picture comes from -> its column
    "rebuilt": "rebuilt RAW",
    "rebuilt_jpeg": f"rebuilt from JPEG {JPEG_QUALITY}",
    "srgb": "sRGB pushed",
    "srgb_jpeg": f"JPEG {JPEG_QUALITY} pushed",
    "srgb_curve_known": "sRGB pushed, curve known",  # undone before, laid on again
}
SHOWN_EDITOR, SHOWN_GAP = "darktable", 6  # of the picture; pixels between its parts
PICTURE_QUALITY = 88
Y_CLIPPED = 255  # sRGB code


@dataclass(frozen=True)
class Scene:
    """One photograph in all its forms."""

    name: str
    clipped: np.ndarray  # (H, W) bool: where the sRGB picture has a code of 255
    files: dict[str, Path]  # original and WAYS, but for the last


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--camera", default="sony-imx135", show_default=True)
@click.option("--split", default="test", show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Figures, JSON.")
@click.option("--picture", type=click.Path(path_type=Path), help="One scene in an editor, JPEG.")
@click.option("--page", type=click.Path(path_type=Path), help="Page whose table between the markers is filled.")
@click.option("--shown", help="The scene of the picture.  [default: the one with the median error]")
def main(
    dataset: Path, camera: str, split: str, out: Path, picture: Path | None, page: Path | None, shown: str | None
) -> None:
    """Measure the round trip on every picture of DATASET's split."""
    lacking = missing()
    if lacking:
        raise click.ClickException(lacking)
    pairs = PairDataset.open(dataset, split)
    engine = open_engine(camera)
    figures: dict = defaultdict(list)
    panels: dict[str, tuple[float, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for i in track(range(len(pairs)), "round trip"):
            scene = make_scene(pairs, i, engine, Path(folder))
            panel = []
            for editor in EDITORS:
                for ev in EXPOSURES:
                    pictures = {name: finished(scene, name, editor, ev, Path(folder)) for name in ("original", *WAYS)}
                    for way in WAYS:
                        figures[editor, ev, way].append(compare(pictures[way], pictures["original"], scene.clipped))
                    if editor == SHOWN_EDITOR:
                        panel.append([pictures[name] for name in ("original", "rebuilt", "srgb")])
            panels[scene.name] = figures[SHOWN_EDITOR, EXPOSURES[0], "rebuilt"][-1]["psnr"], montage(panel)
    names = sorted(panels, key=lambda name: panels[name][0])
    shown = shown or names[len(names) // 2]
    document = summary(figures, camera, names, shown, panels)
    write_json(out, document)
    if page:
        fill(page, {"roundtrip": lambda: table(document)})
    if picture:
        write_jpeg(picture, panels[shown][1])
        say(f"{picture}: {shown}, {picture.stat().st_size / 1000:.0f} kB")


def make_scene(pairs: PairDataset, i: int, engine: Engine, folder: Path) -> Scene:
    """Write picture `i` as its original DNG, as sRGB (PNG, JPEG), and as the DNGs rebuilt from these two."""
    from PIL import Image

    raw, srgb = pairs.pair(i)
    light = pairs.illuminant(i)
    codes = isp.quantise(srgb, 8)
    files = {name: folder / f"{name}.dng" for name in ("original", "rebuilt", "rebuilt_jpeg")}
    files |= {"srgb": folder / "srgb.png", "srgb_jpeg": folder / "srgb_jpeg.jpg"}
    Image.fromarray(codes).save(files["srgb"])
    Image.fromarray(codes).save(files["srgb_jpeg"], quality=JPEG_QUALITY, subsampling=0)
    write_dng(files["original"], isp.quantise(raw, 16), engine.color_matrix, light / light.max(), engine.camera)
    for name in ("srgb", "srgb_jpeg"):
        result = reconstruct(isp.dequantise(np.asarray(Image.open(files[name]))), engine)
        target = files[name.replace("srgb", "rebuilt")]
        write_dng(target, isp.quantise(result.raw, 16), engine.color_matrix, result.neutral, engine.camera)
    return Scene(pairs.names[i], (codes == Y_CLIPPED).any(-1), files)


def finished(scene: Scene, name: str, editor: str, ev: float, folder: Path) -> np.ndarray:
    """(H, W, 3) sRGB in [0, 1]: what the user ends up with."""
    if name == "srgb_curve_known":
        linear = isp.inverse_tone(isp.srgb_decode(read_srgb(scene.files["srgb"])))
        return laid_on(np.clip(linear * np.float32(2**ev), 0, 1))
    path = scene.files[name]
    if path.suffix != ".dng":
        if editor == "libraw":  # reads no such file: the same factor in linear light
            return isp.srgb_encode(np.clip(isp.srgb_decode(read_srgb(path)) * np.float32(2**ev), 0, 1))
        return EDITORS[editor](path, folder, ev)
    return laid_on(isp.srgb_decode(EDITORS[editor](path, folder, ev)))


def read_srgb(path: Path) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1]."""
    from PIL import Image

    return isp.dequantise(np.asarray(Image.open(path)))


def laid_on(linear: np.ndarray) -> np.ndarray:
    """The camera's tone curve and the sRGB transfer function on linear sRGB."""
    return isp.srgb_encode(isp.tone(linear))


def compare(picture: np.ndarray, original: np.ndarray, clipped: np.ndarray) -> dict[str, float]:
    """PSNR in dB, and mean absolute difference in grey levels of 255: whole, and where the input had clipped."""
    difference = np.abs(picture - original).mean(-1) * 255
    return {
        "psnr": psnr(picture, original, np.ones(clipped.shape, bool)),
        "difference": float(difference.mean()),
        "difference_clipped": float(difference[clipped].mean()) if clipped.any() else float("nan"),
    }


def summary(figures: dict, camera: str, names: list[str], shown: str, panels: dict) -> dict:
    """Means over the scenes, by editor, exposure and way."""
    mean: dict = {}
    for (editor, ev, way), rows in figures.items():
        means = {key: round(float(np.nanmean([row[key] for row in rows])), 3) for key in rows[0]}
        mean.setdefault(editor, {}).setdefault(f"{ev:+g} EV", {})[way] = means
        say(f"{editor:12} {ev:+g} EV {way:18} {json.dumps(means)}")
    return {
        "camera": camera,
        "scenes": sorted(names),
        "shown": {"scene": shown, "editor": SHOWN_EDITOR, "psnr": round(panels[shown][0], 2)},
        "ways": WAYS,
        "against": "the original RAW, developed by the same editor at the same exposure",
        "mean": mean,
    }


def table(document: dict) -> str:
    """PSNR, and the mean difference in grey levels (in brackets: where the sRGB picture had clipped), in Markdown."""
    header = ["editor", "exposure", *WAYS.values()]
    lines = []
    for editor, exposures in document["mean"].items():
        for ev, ways in exposures.items():
            cells = [
                f"{r['psnr']:.1f} dB, {r['difference']:.1f} ({r['difference_clipped']:.1f})"
                for r in map(ways.get, WAYS)
            ]
            lines.append([editor, ev, *cells])
    return markdown_table(header, lines)


def montage(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Pictures in rows and columns, white between them, uint8."""
    gap = [(0, SHOWN_GAP), (0, SHOWN_GAP), (0, 0)]
    padded = [[np.pad(isp.quantise(part, 8), gap, constant_values=255) for part in row] for row in rows]
    return np.concatenate([np.concatenate(row, 1) for row in padded])[:-SHOWN_GAP, :-SHOWN_GAP]


def write_jpeg(path: Path, picture: np.ndarray) -> None:
    from PIL import Image

    with atomic_file(path) as temporary:
        Image.fromarray(picture).save(temporary, "JPEG", quality=PICTURE_QUALITY)


if __name__ == "__main__":
    main()
