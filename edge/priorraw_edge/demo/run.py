"""The demo's work: bundles out of assets, their check, one photograph to DNG, pairs whose RAW is known."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from priorraw import isp
from priorraw.assets import Prior, load_assets, shipped_assets
from priorraw.dataset import mask_of
from priorraw.errors import InputError
from priorraw.evaluate import mean_illuminant
from priorraw.files import atomic_folder
from priorraw.metrics import Score, angular_error, score
from priorraw.progress import say

from priorraw_edge.demo.pairs import KnownPair, prepare_real_pairs, real_pairs, simulate_pair
from priorraw_edge.demo.pictures import bare, side_by_side, write_jpeg
from priorraw_edge.export.targets import DEFAULT_TILE, Target, check_request, find_target
from priorraw_edge.runtime.engine import DEFAULT_CAMERA, BundleEngine, Engine
from priorraw_edge.runtime.outputs import Job, write_outputs
from priorraw_edge.runtime.picture import read_picture
from priorraw_edge.runtime.reconstruct import Reconstruction, reconstruct

if TYPE_CHECKING:
    from priorraw_edge.verify.verify import Report

T = TypeVar("T")
MARKER = "report.html"
TARGETS = ("xnnpack", "coreml")
LARGEST = 1_500_000  # pixels; larger photographs are shrunk, so that the demo ends within minutes
SMALLEST_SIDE = 22  # a DNG holds no less


@dataclass(frozen=True)
class BundleResult:
    """One bundle: bundle.json, and how each stage compares with PyTorch."""

    manifest: dict[str, Any]
    report: "Report"


@dataclass(frozen=True)
class PairResult:
    pair: KnownPair
    rebuilt: Reconstruction
    mean_light: np.ndarray  # closed form with the camera's mean light
    scores: dict[str, Score]  # method -> figures
    light_error: float  # degrees between the estimated neutral and the true one


@dataclass(frozen=True)
class DngResult:
    name: str
    bytes: int
    exact: bool  # LibRaw reads back the very counts that were written
    developed: np.ndarray  # LibRaw's own rendering, (H, W, 3) float32 sRGB


@dataclass(frozen=True)
class Demo:
    """All that the report shows."""

    prior: Prior
    photo: str
    notes: list[str]
    srgb: np.ndarray
    rebuilt: Reconstruction
    dng: DngResult
    pairs: list[PairResult]
    bundles: list[BundleResult]
    seconds: dict[str, float] = field(default_factory=dict)  # step -> seconds
    machine: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.dng.exact and all(bundle.report.passed for bundle in self.bundles)


def run_demo(
    out: Path,
    *,
    photo: Path | None = None,
    camera: str | None = None,
    assets: Path | None = None,
    dataset: Path | None = None,
    data: Path | None = None,
    tile: int = DEFAULT_TILE,
) -> Demo:
    """Fill the folder `out` with bundles, DNG, reliability map, result.jpg and report.html, whole or not at all.

    Args:
        photo, camera, assets: by default the shipped sample, a phone's sensor and the shipped assets.
        dataset: pair dataset of the camera, whose test pictures are shown too.
        data: without `dataset`, a folder of real sensor data to make one from.
        tile: side of the bundles' tiles in pixels.

    Raises:
        InputError: `out` is not ours to replace; the photograph, the assets or the dataset cannot be used.
    """
    from priorraw_edge.demo.report import write_report

    prior = load_assets(camera or DEFAULT_CAMERA, assets)
    photo = photo or sample_photograph()
    srgb, notes = _load_photo(photo)
    pairs = [simulate_pair(srgb, prior)]
    seconds: dict[str, float] = {}
    with atomic_folder(out, MARKER) as folder:
        if dataset is None and data is not None and prepare_real_pairs(data, prior.camera, folder / "pairs"):
            dataset = folder / "pairs"
        if dataset is not None:
            pairs += real_pairs(dataset, prior.camera)
        # The shipped sample is the bundles' golden picture already.
        pictures = {} if photo == sample_photograph() else {photo.name: srgb}
        bundles = []
        for target in TARGETS:
            bundle_folder = folder / "bundles" / target
            steps, bundle = _bundle(find_target(target), prior, bundle_folder, tile, pictures, assets)
            seconds |= steps
            bundles.append(bundle)
        engine = BundleEngine(folder / "bundles" / TARGETS[0])
        job = Job(photo, folder / f"{photo.stem}.dng", "dng", folder / f"{photo.stem}.reliability.png")
        rebuilt = _timed(seconds, f"reconstruct {_size(srgb)}", lambda: reconstruct(srgb, engine, photo.name))
        write_outputs(rebuilt, job)
        demo = Demo(
            prior=prior,
            photo=photo.name,
            notes=notes,
            srgb=srgb,
            rebuilt=rebuilt,
            dng=_timed(seconds, "read the DNG back", lambda: _read_back(job.out, rebuilt)),
            pairs=_timed(seconds, "known pairs", lambda: [_score_pair(pair, engine, prior) for pair in pairs]),
            bundles=bundles,
            seconds=seconds,
            machine=_machine(),
        )
        write_jpeg(_result_picture(demo), folder / "result.jpg")
        write_report(demo, folder / MARKER)
    return demo


def _result_picture(demo: Demo) -> np.ndarray:
    """Input, reconstructed RAW as the sensor saw it, and the DNG as LibRaw develops it, side by side in uint8."""
    return side_by_side([isp.quantise(p, 8) for p in (demo.srgb, bare(demo.rebuilt.raw), demo.dng.developed)])


def sample_photograph() -> Path:
    """The photograph that the data package carries."""
    return shipped_assets() / "samples" / "coffee.jpg"


def _load_photo(path: Path) -> tuple[np.ndarray, list[str]]:
    picture = read_picture(path)
    srgb, notes = picture.srgb, list(picture.notes)
    H, W = srgb.shape[:2]
    if min(H, W) < SMALLEST_SIDE:
        raise InputError(f"{path}: {W}x{H} is too small to show anything; give a photograph")
    if H * W > LARGEST:
        import cv2

        factor = (LARGEST / (H * W)) ** 0.5
        size = (max(SMALLEST_SIDE, round(W * factor)), max(SMALLEST_SIDE, round(H * factor)))
        srgb = cv2.resize(srgb, size, interpolation=cv2.INTER_AREA)
        notes.append(f"shrunk from {W}x{H} to {size[0]}x{size[1]} for the demo")
    return srgb, notes


def _bundle(
    target: Target, prior: Prior, folder: Path, tile: int, pictures: dict[str, np.ndarray], assets: Path | None
) -> tuple[dict[str, float], BundleResult]:
    """Export and verify one bundle on `pictures` (name -> sRGB); seconds of either step, and the result."""
    from priorraw_edge.export.bundle import export_bundle
    from priorraw_edge.verify.cases import photograph_case
    from priorraw_edge.verify.verify import verify_bundle

    seconds: dict[str, float] = {}
    precision = check_request(target, tile, None)
    say(f"export and verify {target.name}")
    manifest = _timed(
        seconds,
        f"export {target.name}",
        lambda: export_bundle(prior, target, folder, tile=tile, precision=precision, assets=assets),
    )
    cases = [photograph_case(name, srgb, tile) for name, srgb in pictures.items()]
    report = _timed(seconds, f"verify {target.name}", lambda: verify_bundle(folder, lambda _: cases, assets))
    return seconds, BundleResult(manifest, report)


def _read_back(path: Path, rebuilt: Reconstruction) -> DngResult:
    """Open the DNG with LibRaw: its counts, and its own rendering with nothing of its own taste."""
    import rawpy

    with rawpy.imread(str(path)) as file:
        exact = bool((file.raw_image_visible[..., :3] == isp.quantise(rebuilt.raw, 16)).all())
        developed = file.postprocess(use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0, user_flip=0)
    return DngResult(path.name, path.stat().st_size, exact, isp.dequantise(developed))


def _score_pair(pair: KnownPair, engine: Engine, prior: Prior) -> PairResult:
    rebuilt = reconstruct(pair.srgb, engine, pair.name)
    mask = mask_of(pair.raw)
    mean, true = (
        isp.unrender(pair.srgb, isp.gains_from_illuminant(light), prior.color_matrix)
        for light in (mean_illuminant(prior), pair.illuminant)
    )
    results = {"reconstructed": rebuilt.raw, "closed form, mean light": mean, "closed form, true light": true}
    return PairResult(
        pair,
        rebuilt,
        mean,
        {name: score(raw, pair.raw, mask, pair.srgb) for name, raw in results.items()},
        angular_error(rebuilt.neutral, pair.illuminant),
    )


def _timed(seconds: dict[str, float], step: str, work: Callable[[], T]) -> T:
    start = time.monotonic()
    result = work()
    seconds[step] = time.monotonic() - start
    return result


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"


def _machine() -> dict[str, str]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": f"{platform.system()} {platform.machine()}, {_processor()}, {cores} cores",
        "Python": platform.python_version(),
        **{name: version(name) for name in ("torch", "executorch", "coremltools")},
    }


def _processor() -> str:
    """The processor's name where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"
