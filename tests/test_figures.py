"""Figures that tell light from the rest, on pictures whose light and error are known."""

import numpy as np
import pytest
import tiny
from priorraw import isp
from priorraw.figures import figures_of
from priorraw.metrics import angular_error

LIGHT = np.array([0.5, 1.0, 0.7])
RANDOM = np.random.default_rng(0)
SRGB = RANDOM.uniform(0.3, 0.7, (40, 50, 3)).astype(np.float32)
RAW = isp.unrender(SRGB, isp.gains_from_illuminant(LIGHT), tiny.MATRIX)
ALL = np.ones(RAW.shape[:2], bool)


def figures(predicted: np.ndarray, mask=ALL, srgb=SRGB, reliability=None, raw=RAW) -> dict:
    return figures_of(predicted.astype(np.float32), raw, mask, srgb, LIGHT, tiny.MATRIX, LIGHT, reliability)


@pytest.mark.parametrize("scale", [(1, 1, 1), (0.8, 0.8, 0.8), (1.2, 1, 0.9), (0.7, 1, 1.1)])
def test_wrong_gains_are_light_and_exposure_and_nothing_else(scale):
    found = figures(RAW * scale)
    assert found["light_error"] == pytest.approx(angular_error(LIGHT * scale, LIGHT), abs=1e-4)  # seen: 6e-7
    assert found["psnr_known_gains"] > 99  # 100 stands for equal pictures; seen: 100
    expected = -10 * np.log10(max(np.square(RAW * (np.array(scale) - 1)).mean(), 1e-10))
    assert found["psnr"] == pytest.approx(expected, abs=1e-3)


def test_noise_is_what_known_gains_leave():
    """PSNR of noise of a known size, whatever the gains: sigma 0.01 is 40 dB."""
    noise = RANDOM.normal(0, 0.01, RAW.shape)
    found = figures((RAW + noise) * (1.2, 1, 0.8))
    assert found["psnr_known_gains"] == pytest.approx(40, abs=0.15)  # seen: 0.02
    assert found["psnr"] < 36  # seen: 35.1
    assert found["light_error"] == pytest.approx(angular_error(LIGHT * (1.2, 1, 0.8), LIGHT), abs=0.1)  # seen: 0.03


def test_clipped_masked_and_untrusted_pixels_do_not_tell_the_light():
    predicted, srgb, mask, reliability = RAW * (1.1, 1, 1), SRGB.copy(), ALL.copy(), np.ones(ALL.shape, np.float32)
    srgb[:10], predicted[:10] = 1, (1, 0, 1)
    mask[10:15], predicted[10:15] = False, (0, 1, 0)
    reliability[15:20], predicted[15:20] = 0, (0.9, 0.1, 0.9)
    found = figures(predicted, mask, srgb, reliability)
    assert found["light_error"] == pytest.approx(angular_error(LIGHT * (1.1, 1, 1), LIGHT), abs=1e-4)


def test_a_black_result_has_figures():
    found = figures(np.zeros_like(RAW))
    assert found["psnr_known_gains"] == pytest.approx(found["psnr"])
    assert found["light_error"] == pytest.approx(angular_error(np.ones(3), LIGHT))


def test_reliability_is_judged_inside_the_mask():
    error = RANDOM.uniform(0.01, 0.1, ALL.shape).astype(np.float32)
    predicted = RAW + error[..., None]
    perfect = 0.01 / (0.01 + error)
    mask = ALL.copy()
    mask[:7] = False
    perfect[:7] = 1 - perfect[:7]
    found = figures(predicted, mask, reliability=perfect)
    assert found["reliability_rank"] == pytest.approx(-1, abs=1e-3)
    assert found["sparsification"] == pytest.approx(found["sparsification_oracle"], abs=1e-5)
    # Errors spread evenly over [a, b]: with x of the pixels gone the mean is a + (b - a) (1 - x) / 2.
    even = np.mean([(0.01 + 0.09 * (1 - x / 100) / 2) / 0.055 for x in range(100)])
    assert found["sparsification_oracle"] == pytest.approx(even, abs=0.02)  # seen: 0.001
    blind = figures(predicted, mask)
    assert [blind[key] for key in ("reliability_rank", "sparsification", "sparsification_oracle")] == [None] * 3
