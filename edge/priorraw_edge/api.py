"""The Python interface: a model of one camera, and the RAW that it rebuilds. Everything here is re-exported by
`priorraw_edge`.

    from priorraw_edge import load

    raw = load("sony-imx135").reconstruct("photo.jpg")
    raw.save("photo.dng")
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from priorraw import isp
from priorraw.errors import InputError
from priorraw.files import atomic_file

from priorraw_edge.runtime.engine import Engine, known_cameras, open_engine
from priorraw_edge.runtime.exif import Facts
from priorraw_edge.runtime.hint import Hint, parse_hint
from priorraw_edge.runtime.look import Look
from priorraw_edge.runtime.look import develop as developed
from priorraw_edge.runtime.outputs import check_size, plan_jobs, write_outputs
from priorraw_edge.runtime.reconstruct import Reconstruction, gather
from priorraw_edge.runtime.source import ArraySource, Source
from priorraw_edge.runtime.spool import Spool
from priorraw_edge.runtime.stream import Stream
from priorraw_edge.runtime.which import choose_camera

if TYPE_CHECKING:
    from os import PathLike


def cameras(assets: str | PathLike[str] | None = None) -> list[str]:
    """The cameras that there are banks of, by name.

    Args:
        assets: an asset folder; the shipped one by default.

    Raises:
        InputError: there is no such folder.
    """
    return known_cameras(assets=_path(assets))


def load(
    camera: str | None = None,
    *,
    bundle: str | PathLike[str] | None = None,
    assets: str | PathLike[str] | None = None,
    bank: str | PathLike[str] | None = None,
    threads: int | None = None,
) -> Model:
    """Load the model of one camera; every file's hash is checked and nothing is unpickled.

    Args:
        camera: whose RAW to rebuild, one of `cameras()`; sony-imx135 by default, or the bundle's first.
        bundle: run this xnnpack bundle (of `priorraw-edge export`) by ExecuTorch; PyTorch by default.
        assets: an asset folder, not with `bundle`; the shipped one by default.
        bank: a bank.safetensors of your own (of `priorraw-edge bank build`), in place of `camera`.
        threads: that compute a tile together; one a core by default.

    Raises:
        InputError: an unknown camera, or files that are damaged or do not belong together; one line that names the
            cure.
    """
    for names, values in (("bundle and assets", (bundle, assets)), ("camera and bank", (camera, bank))):
        if all(value is not None for value in values):
            raise InputError(f"{names} exclude each other; give one")
    return Model(open_engine(camera, bundle=_path(bundle), assets=_path(assets), bank=_path(bank), threads=threads))


class Model:
    """The model of one camera, made by `load`. It runs one picture at a time: give each thread one of its own.

    Attributes:
        camera: whose RAW it rebuilds.
        color_matrix: (3, 3) float64, XYZ (D65) to that camera, as DNG's ColorMatrix.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self.camera: str = engine.camera
        self.color_matrix: np.ndarray = engine.color_matrix

    def reconstruct(self, photo: str | PathLike[str] | np.ndarray, *, hint: str | Sequence[float] | None = None) -> Raw:
        """Rebuild the RAW behind a picture.

        Args:
            photo: a JPEG, PNG or TIFF file of 1x1 to 200 megapixels, decoded in a process of its own; or an sRGB
                picture (H, W, 3), uint8, uint16, or float32 in [0, 1].
            hint: "exif" for the as-shot white-balance gains that the file carries (blind where it has none, with a
                note), or three gains R, G, B of this camera's sensor; blind by default.

        Raises:
            InputError: the picture or the hint cannot be used.
        """
        if hint is not None and not isinstance(hint, str):
            hint = ",".join(repr(float(gain)) for gain in hint)
        given = parse_hint(hint) if hint not in (None, "none", "exif") else None
        if isinstance(photo, np.ndarray):
            if hint == "exif":
                raise InputError("a picture in memory carries no EXIF: give its gains as hint=(R, G, B)")
            return self._rebuild(ArraySource(_unit(photo)), "picture", given, Facts(), [])
        path = Path(photo)
        with Spool(path, Path(tempfile.gettempdir()), hint=hint == "exif") as spool:
            read = spool.wait()
            choice = choose_camera(read.facts, [self.camera], self.camera, self.camera)
            notes = [*read.notes_for(self.camera), *choice.notes]
            return self._rebuild(read.source, path.name, given or read.hint, read.facts, notes)

    def _rebuild(self, source: Source, name: str, hint: Hint | None, facts: Facts, notes: list[str]) -> Raw:
        result = gather(Stream(source, self._engine, name, hint.neutral if hint else None))
        return Raw(
            rgb=result.raw,
            reliability=result.reliability,
            neutral=result.neutral,
            camera=result.camera,
            color_matrix=result.color_matrix,
            notes=tuple(notes),
            _result=result,
            _facts=facts,
        )


@dataclass(frozen=True, repr=False)
class Raw:
    """A rebuilt RAW picture.

    Attributes:
        rgb: (H, W, 3) float32, linear raw-RGB of the camera's sensor in [0, 1], 1 = white level.
        reliability: (H, W) float32 in (0, 1]: r stands for an expected error of 0.01 (1 / r - 1) of full scale.
        neutral: (3,) the sensor's response to white under the light of the scene, largest 1 (DNG's AsShotNeutral).
        camera: whose RAW it is.
        color_matrix: (3, 3) XYZ (D65) to camera.
        notes: what speaks against trusting it, a plain line each.
    """

    rgb: np.ndarray
    reliability: np.ndarray
    neutral: np.ndarray
    camera: str
    color_matrix: np.ndarray
    notes: tuple[str, ...]
    _result: Reconstruction
    _facts: Facts

    def develop(
        self, exposure: float = 0.0, highlights: float = 0.0, warmth: float = 0.0, tint: float = 0.0
    ) -> np.ndarray:
        """The picture for a screen: white balance, colour matrix, tone curve.

        Args:
            exposure: stops (EV).
            highlights: -1 to 1; less than 0 brings bright parts down.
            warmth: stops of red against blue, positive is warmer.
            tint: stops of green, positive is greener.

        Returns:
            (H, W, 3) uint8 sRGB.
        """
        return isp.quantise(
            developed(self.rgb, self.neutral, self.color_matrix, Look(exposure, highlights, warmth, tint)), 8
        )

    def save(self, path: str | PathLike[str], *, cfa: str | None = None, keep_gps: bool = False) -> Path:
        """Write it, whole or not at all; the suffix says the format.

        Args:
            path: ends in .dng (16-bit linear DNG with the photograph's EXIF), .tif, .tiff (16 bits) or .npy (float32).
            cfa: a Bayer pattern to mosaic a DNG with: RGGB, BGGR, GRBG or GBRG.
            keep_gps: carry the place from the photograph's EXIF into a DNG too.

        Raises:
            InputError: another suffix, a place that cannot be written, or a picture too small for a DNG.
        """
        path = Path(path)
        if not path.suffix or path.is_dir():
            raise InputError(f"{path}: name a file that ends in .dng, .tif, .tiff or .npy")
        (job,) = plan_jobs([Path("picture")], path, cfa=cfa)
        check_size(job, *self.reliability.shape)
        write_outputs(self._result, job, self._facts if keep_gps else self._facts.without_gps())
        return path

    def save_reliability(self, path: str | PathLike[str]) -> Path:
        """Write the reliability as an 8-bit grey PNG, 255 = 1, whole or not at all.

        Raises:
            InputError: a place that cannot be written.
        """
        from PIL import Image

        path = Path(path)
        with atomic_file(path) as temporary:
            Image.fromarray(isp.quantise(self.reliability, 8)).save(temporary, "png")
        return path

    def __repr__(self) -> str:
        height, width = self.reliability.shape
        return f"Raw({width}x{height}, {self.camera}, mean reliability {self.reliability.mean(dtype='float64'):.2f})"


def _unit(picture: np.ndarray) -> np.ndarray:
    """An sRGB picture of the user's as float32 in [0, 1].

    Raises:
        InputError: another shape, type or range.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise InputError(f"an sRGB picture is (H, W, 3), this one is {picture.shape}")
    if picture.dtype in (np.uint8, np.uint16):
        return isp.dequantise(picture)
    if picture.dtype.kind != "f":
        raise InputError(f"an sRGB picture is uint8, uint16 or floating point, this one is {picture.dtype}")
    if not (picture.min() >= 0 and picture.max() <= 1):  # not the other way round: NaN fails both
        raise InputError("a floating-point sRGB picture lies in [0, 1], this one does not")
    return np.ascontiguousarray(picture, np.float32)


def _path(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)
