"""What is measured of one predicted picture: how good it is, and where its error lies."""

from dataclasses import asdict

import numpy as np

from priorraw.isp import gains_from_illuminant
from priorraw.metrics import angular_error, psnr, rank_correlation, score, sparsification
from priorraw.neutral import NeutralFit

OF_A_PICTURE = (
    "psnr",
    "ssim",
    "psnr_clipped",
    "psnr_unclipped",
    "psnr_known_gains",
    "light_error",
    "believed_light_error",
    "reliability_rank",
    "sparsification",
    "sparsification_oracle",
)
MEDIANS = {"psnr_median": "psnr", "light_error_median": "light_error"}
FIGURES = (*OF_A_PICTURE, *MEDIANS)


def figures_of(
    predicted: np.ndarray,
    raw: np.ndarray,
    mask: np.ndarray,
    srgb: np.ndarray,
    illuminant: np.ndarray,
    color_matrix: np.ndarray,
    believed: np.ndarray,
    reliability: np.ndarray | None,
) -> dict[str, float | None]:
    """The figures `OF_A_PICTURE`; None where one does not apply.

    `light_error` is the angle, in degrees, between the true light and the one that the result shows
    (`neutral.NeutralFit` on its unclipped pixels); `believed_light_error` that of the light that the method
    says it used. `psnr_known_gains` is the PSNR in dB after each channel of the result is scaled so that it shows
    the true light and exposure: what is left is no fault of the light.

    Args:
        predicted, raw: (H, W, 3) linear raw-RGB in [0, 1].
        mask: (H, W), True where the pixel is valid.
        srgb: (H, W, 3) in [0, 1], as rendered from `raw`, before any compression.
        illuminant, believed: (3,) the sensor's response to white, true and believed, on any scale.
        color_matrix: (3, 3) XYZ (D65) to camera.
        reliability: (H, W) of the method; None where it has none.

    Raises:
        ValueError: the picture cannot be scored, see `metrics.score`.
    """
    figures: dict[str, float | None] = asdict(score(predicted, raw, mask, srgb))
    fit = NeutralFit(color_matrix)
    fit.add(predicted[mask], srgb[mask], np.ones(int(mask.sum())) if reliability is None else reliability[mask])
    shown = fit.response()
    true = 1 / gains_from_illuminant(illuminant)  # on the scale of raw-RGB: what `isp.unrender` makes of white
    scale = np.ones(3) if shown is None else true / shown
    figures["psnr_known_gains"] = psnr(np.clip(predicted * scale, 0, 1), raw, mask)
    figures["light_error"] = angular_error(fit.neutral(), illuminant)
    figures["believed_light_error"] = angular_error(believed, illuminant)
    error = np.abs(predicted - raw).mean(-1)[mask]
    trust = None if reliability is None else reliability[mask]
    figures["reliability_rank"] = None if trust is None else rank_correlation(trust, error)
    figures["sparsification"] = None if trust is None else sparsification(error, trust)
    figures["sparsification_oracle"] = None if trust is None else sparsification(error, -error)
    return figures


def summary(images: list[dict]) -> dict[str, float | None]:
    """`FIGURES` over pictures: means, and the medians; pictures to which a figure does not apply are left out."""
    means = {key: _over(np.mean, images, key) for key in OF_A_PICTURE}
    return means | {name: _over(np.median, images, key) for name, key in MEDIANS.items()}


def _over(statistic, images: list[dict], key: str) -> float | None:
    values = [image[key] for image in images if image[key] is not None]
    return float(statistic(values)) if values else None
