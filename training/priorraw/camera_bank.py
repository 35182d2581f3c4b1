"""A bank from a handful of a camera's own files, without training, and what it may be expected to reach."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from priorraw.adapt import Lookups, adapt, join, look_up
from priorraw.assets import Prior
from priorraw.bank import Bank, collect_references, group_pixels
from priorraw.bank_info import BankInfo
from priorraw.camera_rendering import RenderingScore, rendering_of_raws
from priorraw.dataset import PairDataset, mask_of
from priorraw.errors import InputError
from priorraw.evaluate import HintedPrior, inferred_illuminant
from priorraw.files import visible
from priorraw.isp import gains_from_illuminant, unrender
from priorraw.leave_one_out import Groups
from priorraw.metrics import angular_error, psnr
from priorraw.model import THUMBNAIL, PriorRAW
from priorraw.pictures import TrainingPicture, picture_of
from priorraw.prepare import prepare
from priorraw.progress import track
from priorraw.raw_io import EXTENSIONS
from priorraw.sensor_light import few_files_vector
from priorraw.variety import cell_colors, scene_signature, warnings_of
from priorraw.views import MOST_VIEWS, views

SIDE = 384  # pixels of a file's long side that are kept
FAMILIAR = "CR2, NEF, ARW, DNG"
LEAST_FILES = 2  # a file is looked up in the others
ENOUGH_PIXELS = 200_000  # reference pixels; with many files each gives fewer views
MOST_G = 25  # as the shipped banks have
FOLDS = 8  # adapted banks are tried on files that they were not adapted to, in so many parts


@dataclass(frozen=True)
class FileScore:
    """A file rebuilt from its sRGB with a bank of the other files; PSNR in dB on linear raw-RGB."""

    name: str
    blind: float
    hinted: float
    mean_light: float  # closed form with the mean light of the other files: what needs no bank
    light_error: float  # degrees
    adapted: float | None = None  # blind, adapted to other files


@dataclass(frozen=True)
class CameraBank:
    bank: Bank
    files: list[FileScore]
    warnings: list[str]
    skipped: list[str] = field(default_factory=list)  # one line per file that could not be read
    rendering: list[RenderingScore] | None = None  # where the camera's own JPEGs were looked at

    def mean(self, figure: str) -> float | None:
        """Mean over the files of a figure of `FileScore`; None where it was not measured."""
        values = [getattr(score, figure) for score in self.files]
        return None if None in values else float(np.mean(values))


def bank_of_raws(
    model: PriorRAW,
    raws: Sequence[Path],
    encoder_sha256: str,
    *,
    camera: str | None = None,
    color_matrix: np.ndarray | None = None,
    K: int = 5000,
    seed: int = 0,
    adapted: bool = False,
    skip_bad: bool = False,
) -> CameraBank:
    """`bank_from_files` of camera files: binned, shrunk to `SIDE` pixels and rendered, one at a time.

    Args:
        raws: folders of camera files, or files, all of one camera.
        camera, color_matrix: instead of what the files say.

    Raises:
        InputError: no camera file, one that cannot be used (left out with `skip_bad`), files of several cameras,
            too few of them.
    """
    for path in raws:
        if path.is_dir() and not visible(path, *EXTENSIONS):
            raise InputError(f"{path}: holds no camera files ({FAMILIAR} ...); name the folder that does")
        if path.exists() and not path.is_dir() and path.suffix.lower() not in EXTENSIONS:
            raise InputError(f"{path}: is no camera file ({FAMILIAR} ...)")
    with tempfile.TemporaryDirectory() as folder:
        made = prepare(
            raws,
            Path(folder) / "pairs",
            {"train": 1.0},
            camera=camera,
            color_matrix=color_matrix,
            seed=seed,
            size=SIDE,
            skip_bad=skip_bad,
            binned=True,
        )
        shots = PairDataset.open(made.folder, "train")
        if shots.camera == "unknown":
            raise InputError(f"{raws[0]}: the files do not say which camera they are from; pass --camera")
        built = bank_from_files(model, shots, encoder_sha256, K=K, seed=seed, adapted=adapted)
        return replace(built, skipped=made.skipped)


def with_rendering(built: CameraBank, raws: Sequence[Path], *, skip_bad: bool = False) -> CameraBank:
    """The bank with how the camera renders, fitted on the JPEGs of the same files; left out where it does not help.

    Raises:
        InputError: as `rendering_of_raws`.
    """
    matrix = np.reshape(built.bank.info.color_matrix, (3, 3))
    rendering, scores, skipped = rendering_of_raws(raws, matrix, skip_bad=skip_bad)
    fitted, ours = (float(np.mean([getattr(score, kind) for score in scores])) for kind in ("fitted", "ours"))
    skipped = [*built.skipped, *(line for line in skipped if line not in built.skipped)]
    built = replace(built, rendering=scores, skipped=skipped)
    if not fitted > ours:
        fault = f"the camera's rendering cannot be fitted ({fitted:.1f} dB, as our ISP's {ours:.1f}): it is left out"
        return replace(built, warnings=[*built.warnings, fault])
    info = replace(built.bank.info, rendering=rendering.to_json())
    return replace(built, bank=replace(built.bank, info=info))


def bank_from_files(
    model: PriorRAW, shots: PairDataset, encoder_sha256: str, *, K: int, seed: int, adapted: bool = False
) -> CameraBank:
    """Build the bank of the pictures of a dataset, and try it by leave-one-out.

    One picture is in memory at a time; the reference pixels lie in a temporary file.

    Args:
        shots: one split, small pictures: `prepare` with binning and a size.
        K: entries; exported programs take 5,000.
        adapted: also fit mean and spread of the lights (`adapt`), measure that, and keep it if it is better.

    Raises:
        InputError: fewer than two files, or too few pixels for K entries.
    """
    n = len(shots)
    if n < LEAST_FILES:
        raise InputError(f"{n} camera file is too few: each is looked up in the others; give {LEAST_FILES}, better 5")
    matrix = shots.color_matrix
    lights = np.log(shots.illuminants[:, [0, 2]] / shots.illuminants[:, [1]])
    groups, P = reference_groups(model, _Pictures(shots), K, seed)
    info = BankInfo(
        shots.camera,
        encoder_sha256,
        K,
        groups.owner.shape[1],
        seed,
        matrix.ravel().tolist(),
        few_files_vector(lights, matrix).tolist(),
        model.config.encoder.dim,
        P,
        n,
    )
    scores, lookups, faces = _leave_one_out(model, shots, info, groups, lights)
    warnings = warnings_of(shots.names, lights, *faces)
    if adapted:
        scores = _try_adapted(model, shots, info, groups, lights, scores, lookups)
        if fault := not_better(scores):
            warnings.append(fault)
        else:
            vector = adapt(model, torch.tensor(info.camera_vector), lookups, seed)
            info = replace(info, camera_vector=vector.tolist())
    return CameraBank(_bank(groups, info), scores, warnings)


def not_better(scores: list[FileScore]) -> str | None:
    """A line if adapting did not raise the mean of files that it was not fitted on: the bank is then left as it was."""
    plain, moved = (float(np.mean([getattr(s, figure) for s in scores])) for figure in ("blind", "adapted"))
    if moved > plain:
        return None
    return f"adapting does not help here ({moved:.2f} dB, without {plain:.2f}): the bank is left as it was"


def reference_groups(model: PriorRAW, files: Sequence[TrainingPicture], K: int, seed: int) -> tuple[Groups, int]:
    """The pixels of K entries, from several views of each file; and how many reference pixels there were.

    An entry takes as many pixels as there are for one, 25 at most.
    """
    each = int(np.clip(ENOUGH_PIXELS // (THUMBNAIL**2 // 4 * len(files)), 1, MOST_VIEWS))
    owner: list[int] = []

    def reference_views() -> Iterator[TrainingPicture]:
        for i in track(range(len(files)), "encode files"):
            for view in views(files[i], each):
                owner.append(i)
                yield view

    with tempfile.TemporaryDirectory() as folder:
        references = collect_references(model, reference_views(), Path(folder), quiet=True)
        P = len(references.features)
        chosen = group_pixels(references, K, int(np.clip(P // K, 1, MOST_G)), seed)
        return Groups.gather(references, chosen, np.array(owner)[references.picture]), P


class _Pictures(Sequence[TrainingPicture]):
    """The pictures of a split, read when asked for."""

    def __init__(self, shots: PairDataset):
        self._shots = shots

    def __len__(self) -> int:
        return len(self._shots)

    def __getitem__(self, i):
        return picture_of(self._shots, i)


def _bank(groups: Groups, info: BankInfo, without: int | None = None) -> Bank:
    keys, values = groups.means(without)
    return Bank(keys, values[:, 3:].copy(), values[:, :3].copy(), replace(info, K=len(keys)))


def _leave_one_out(
    model: PriorRAW, shots: PairDataset, info: BankInfo, groups: Groups, lights: np.ndarray
) -> tuple[list[FileScore], Lookups, tuple[np.ndarray, np.ndarray]]:
    """Each file's score; what the light sees of it; and what `variety` compares."""
    scores, parts, colors, scenes = [], [], [], []
    for i in track(range(len(shots)), "leave one out"):
        others = few_files_vector(np.delete(lights, i, 0), shots.color_matrix)
        bank = _bank(groups, replace(info, camera_vector=others.tolist()), i)
        if not bank.info.K:
            raise InputError(
                f"{shots.names[i]}: without it the bank is empty: the other files show nothing else; give other scenes"
            )
        prior = Prior(model, bank, shots.camera, "", "", "")
        raw, srgb = shots.pair(i)
        mask, light = mask_of(raw), shots.illuminant(i)
        mean_light = np.exp([others[9], 0, others[10]])
        scores.append(
            FileScore(
                shots.names[i],
                psnr(prior(srgb)[0], raw, mask),
                psnr(HintedPrior(**vars(prior), light=light)(srgb)[0], raw, mask),
                psnr(unrender(srgb, gains_from_illuminant(mean_light), shots.color_matrix), raw, mask),
                angular_error(inferred_illuminant(prior, srgb), light),
            )
        )
        picture = picture_of(shots, i)
        keys, values, vector = bank.tensors()
        parts.append(look_up(model, picture, keys, values, vector[0]))
        colors.append(cell_colors(picture))
        scenes.append(scene_signature(picture))
    return scores, join(parts), (np.stack(colors), np.stack(scenes))


def _try_adapted(
    model: PriorRAW,
    shots: PairDataset,
    info: BankInfo,
    groups: Groups,
    lights: np.ndarray,
    scores: list[FileScore],
    lookups: Lookups,
) -> list[FileScore]:
    """The scores with `adapted`: each file with a camera vector that was fitted on the files of other folds."""
    n = len(shots)
    fold = np.arange(n) % min(FOLDS, n)
    found = list(scores)
    for part in track(range(min(FOLDS, n)), "adapt"):
        inside = fold == part
        start = torch.from_numpy(few_files_vector(lights[~inside], shots.color_matrix))
        vector = adapt(model, start, lookups.without(torch.from_numpy(inside)), info.seed)
        for i in np.flatnonzero(inside).tolist():
            bank = _bank(groups, replace(info, camera_vector=vector.tolist()), i)
            raw, srgb = shots.pair(i)
            rebuilt, _ = Prior(model, bank, shots.camera, "", "", "")(srgb)
            found[i] = replace(scores[i], adapted=psnr(rebuilt, raw, mask_of(raw)))
    return found


def report(built: CameraBank) -> dict:
    """For --json: the bank's settings, the expected quality, every file, the warnings."""
    figures = ("blind", "hinted", "mean_light", "light_error", "adapted")
    return {
        **asdict(built.bank.info),
        "expected": {figure: built.mean(figure) for figure in figures},
        "files": [asdict(score) for score in built.files],
        "rendering": built.rendering and [asdict(score) for score in built.rendering],
        "warnings": built.warnings,
        "skipped": built.skipped,
    }
