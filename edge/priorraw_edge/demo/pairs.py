"""Pictures whose RAW is known: simulated from a photograph, or real ones from a pair dataset."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from priorraw import isp
from priorraw.assets import Prior
from priorraw.dataset import PairDataset
from priorraw.errors import InputError
from priorraw.prepare import prepare
from priorraw.splits import parse_splits

EXPOSURE_STOPS = 0.3  # above the photograph's own: a few highlights clip, as they do
FULL_WELL = 6000.0  # electrons at white level, a phone's pixel at base ISO
READ_NOISE = 3.0  # electrons
PATTERN = "RGGB"
REAL_PAIRS = 2


@dataclass(frozen=True)
class KnownPair:
    """An sRGB picture and the raw-RGB behind it, both (H, W, 3) float32 in [0, 1]."""

    name: str
    srgb: np.ndarray
    raw: np.ndarray
    illuminant: np.ndarray  # (3,) the sensor's response to white
    origin: str  # what the reader must know about where it comes from


def simulate_pair(srgb: np.ndarray, prior: Prior, seed: int = 0) -> KnownPair:
    """The photograph as the camera of `prior` would have seen it, under a light that the model is not told.

    sRGB to scene light by the inverse of the tone curve; the camera's matrix; a light one standard deviation
    warmer than its mean; Poisson-Gaussian noise with a fixed seed (Foi et al. 2008); Bayer mosaic, bilinear
    demosaic; then the software ISP to 8 bits.

    Args:
        srgb: (H, W, 3) float32 in [0, 1], at least 2x2.
    """
    mean, spread = np.array(prior.bank.info.camera_vector[9:13]).reshape(2, 2)
    red, blue = mean + np.array([1, -1]) * spread
    illuminant = np.exp([red, 0.0, blue])
    gains = isp.gains_from_illuminant(illuminant)
    scene = isp.inverse_tone(isp.srgb_decode(srgb)) * 2**EXPOSURE_STOPS
    light = np.clip(isp.unbalance(isp.apply_matrix(scene, isp.camera_from_srgb(prior.color_matrix)), gains), 0, None)
    generator = np.random.default_rng(seed)
    photons = generator.poisson(isp.mosaic(light, PATTERN) * FULL_WELL)
    electrons = photons + generator.normal(0, READ_NOISE, photons.shape)
    raw = isp.demosaic(np.clip(electrons / FULL_WELL, 0, 1).astype(np.float32), PATTERN)
    raw = isp.dequantise(isp.quantise(raw, 16))
    return KnownPair(
        name="simulated sensor",
        srgb=_render_8_bit(raw, gains, prior.color_matrix),
        raw=raw,
        illuminant=illuminant,
        origin=(
            "The sensor here is simulated, not real: the photograph above, taken back to linear light, seen by "
            f"{prior.camera} (its colour matrix, response to white {illuminant[0]:.2f} : 1 : {illuminant[2]:.2f}, one "
            f"standard deviation warmer than its mean light), {EXPOSURE_STOPS:+.1f} EV, photon noise of a pixel of "
            f"{FULL_WELL:,.0f} e- and {READ_NOISE:.0f} e- of read noise (seed {seed}), {PATTERN} mosaic, bilinear "
            "demosaic, then rendered to 8-bit sRGB by the software ISP. The model is given that sRGB picture alone."
        ),
    )


def real_pairs(folder: Path, camera: str) -> list[KnownPair]:
    """Some test pictures of a pair dataset, spread over its names.

    Raises:
        InputError: no dataset, of another camera, or without a test split.
    """
    dataset = PairDataset.open(folder, "test", camera)
    chosen = np.unique(np.linspace(0, len(dataset) - 1, REAL_PAIRS).round().astype(int))
    pairs = []
    for i in chosen:
        raw, srgb = dataset.pair(int(i))
        if min(raw.shape[:2]) < 11:
            raise InputError(f"{folder}: {dataset.names[i]} is smaller than the 11 pixels that SSIM needs")
        origin = f"Real sensor data, {camera}: a picture of the test split, rendered to sRGB by the software ISP."
        pairs.append(KnownPair(dataset.names[i], srgb, raw, dataset.illuminant(int(i)), origin))
    return pairs


def prepare_real_pairs(data: Path, camera: str, out: Path) -> bool:
    """Pair dataset `out` from the folder of real sensor data, where it has pictures of the camera worth a look.

    The split is the one that the shipped model was trained with, so its test pictures are new to it.
    """
    source = data / "imx135"
    if camera != "sony-imx135" or not source.is_dir():
        return False
    prepare([source], out, parse_splits("train=0.65,val=0.05,test=0.3"), camera=camera, seed=0)
    return True


def _render_8_bit(raw: np.ndarray, gains: np.ndarray, color_matrix: np.ndarray) -> np.ndarray:
    return isp.dequantise(isp.quantise(isp.render(raw, gains, color_matrix), 8))
