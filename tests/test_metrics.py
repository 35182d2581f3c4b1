"""The metric protocol against analytic values and scikit-image."""

import numpy as np
import pytest
import skimage.data
from priorraw import metrics
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

TRUE = skimage.data.chelsea()[:120, 150:310].astype(np.float32) / 255
PREDICTED = (TRUE + np.random.default_rng(0).normal(0, 0.03, TRUE.shape)).clip(0, 1).astype(np.float32)
ALL = np.ones(TRUE.shape[:2], bool)


@pytest.mark.parametrize(("offset", "decibel"), [(0.1, 20.0), (0.01, 40.0), (0.001, 60.0)])
def test_psnr_of_a_constant_offset(offset, decibel):
    true = np.full((16, 16, 3), 0.5)
    assert metrics.psnr(true + offset, true, np.ones((16, 16), bool)) == pytest.approx(decibel, abs=1e-9)


def test_psnr_of_equal_pictures_is_finite():
    assert metrics.psnr(TRUE, TRUE, ALL) == pytest.approx(100)


def test_psnr_is_scikit_images():
    expected = peak_signal_noise_ratio(TRUE.astype(np.float64), PREDICTED.astype(np.float64), data_range=1)
    assert metrics.psnr(PREDICTED, TRUE, ALL) == pytest.approx(expected, abs=1e-9)  # seen: 4e-15


def test_psnr_of_a_mask_is_that_of_its_pixels():
    mask = np.zeros_like(ALL)
    mask[30:60, 20:90] = True
    expected = peak_signal_noise_ratio(TRUE[30:60, 20:90].astype(np.float64), PREDICTED[30:60, 20:90], data_range=1)
    assert metrics.psnr(PREDICTED, TRUE, mask) == pytest.approx(expected, abs=1e-9)


def test_ssim_is_scikit_images():
    """Away from the border, where the two pad otherwise (reflection with and without the edge pixel)."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    true = TRUE.astype(np.float64)

    def full(predicted: np.ndarray) -> np.ndarray:
        return structural_similarity(true, predicted.astype(np.float64), channel_axis=2, full=True, **options)[1]

    inner = np.zeros_like(ALL)
    inner[5:-5, 5:-5] = True
    framed = np.where(inner[..., None], PREDICTED, TRUE)  # masked pixels count as right
    expected = full(framed)[5:-5, 5:-5].mean()
    assert metrics.ssim(PREDICTED, TRUE, inner) == pytest.approx(expected, abs=1e-6)  # single precision; seen: 2.7e-7
    assert metrics.ssim(PREDICTED, TRUE, ALL) == pytest.approx(full(PREDICTED).mean(), abs=1e-3)  # seen: 2.0e-4
    assert metrics.ssim(TRUE, TRUE, ALL) == pytest.approx(1)


def test_masked_pixels_carry_no_weight():
    mask = ALL.copy()
    mask[10:40, 10:50] = False
    spoilt = PREDICTED.copy()
    spoilt[~mask] = np.random.default_rng(1).random(((~mask).sum(), 3))
    assert metrics.score(spoilt, TRUE, mask, TRUE) == metrics.score(PREDICTED, TRUE, mask, TRUE)
    assert metrics.score(spoilt, TRUE, ALL) != metrics.score(PREDICTED, TRUE, ALL)


def test_clipped_and_unclipped_pixels_make_up_the_whole():
    srgb = TRUE.clip(0.1, 0.9)
    srgb[:30] = 1.0
    srgb[30:40, :, 2] = 0.0
    score = metrics.score(PREDICTED, TRUE, ALL, srgb)
    clipped = np.zeros_like(ALL)
    clipped[:40] = True
    assert score.psnr_clipped == metrics.psnr(PREDICTED, TRUE, clipped)
    assert score.psnr_unclipped == metrics.psnr(PREDICTED, TRUE, ~clipped)
    share = clipped.mean()
    error = share * 10 ** (-score.psnr_clipped / 10) + (1 - share) * 10 ** (-score.psnr_unclipped / 10)
    assert -10 * np.log10(error) == pytest.approx(score.psnr, abs=1e-9)
    none_clipped = metrics.score(PREDICTED, TRUE, ALL, TRUE.clip(0.1, 0.9))
    assert none_clipped.psnr_clipped is None and none_clipped.psnr_unclipped == none_clipped.psnr


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="shapes differ"):
        metrics.score(PREDICTED[1:], TRUE, ALL)
    with pytest.raises(ValueError, match="cannot be scored"):
        metrics.score(PREDICTED, TRUE, ~ALL)
    with pytest.raises(ValueError, match="cannot be scored"):
        metrics.score(PREDICTED[:10], TRUE[:10], ALL[:10])


@pytest.mark.parametrize(
    ("a", "b", "degrees"),
    [
        ((1, 1, 1), (2, 2, 2), 0),
        (np.float32([0.3, 1, 0.7]), np.float64(np.float32([0.3, 1, 0.7])), 0),
        ((1, 0, 0), (0, 1, 0), 90),
        ((1, 1, 0), (1, 0, 0), 45),
        ((1, 1, 1), (1, 0, 0), 54.735610317245346),  # the angle between a cube's diagonal and its edge
    ],
)
def test_angular_error(a, b, degrees):
    assert metrics.angular_error(np.array(a), np.array(b)) == pytest.approx(degrees, abs=1e-9)


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    generator = np.random.default_rng(0)
    a = generator.normal(size=(20, 30))
    b = np.exp(a) + generator.normal(size=a.shape)
    assert metrics.rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert metrics.rank_correlation(a, -a) == pytest.approx(-1)
    assert metrics.rank_correlation(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel())[0], abs=1e-12)


@pytest.mark.parametrize(
    ("reliability", "area"),
    [
        # Of four pixels with errors 4, 3, 2, 1 (mean 2.5) none, one, two, three go at x = 0, 25, 50, 75 %.
        ((1, 2, 3, 4), (1 + 2 / 2.5 + 1.5 / 2.5 + 1 / 2.5) / 4),
        ((4, 3, 2, 1), (1 + 3 / 2.5 + 3.5 / 2.5 + 4 / 2.5) / 4),
        ((0.5, 0.5, 0.5, 0.5), 1),
        ((0, 0, 1, 1), (1 + (3.5 + 2 + 1) / 3 / 2.5 + 1.5 / 2.5 + 1.5 / 2.5) / 4),  # either of the first two goes
    ],
)
def test_sparsification_by_hand(reliability, area):
    assert metrics.sparsification(np.array([4.0, 3, 2, 1]), np.array(reliability)) == pytest.approx(area, abs=1e-12)


def test_sparsification_by_removing_pixels_one_percent_at_a_time():
    generator = np.random.default_rng(0)
    error = generator.exponential(size=(17, 23)).astype(np.float32)
    reliability = (-error + generator.normal(size=error.shape)).astype(np.float32)
    order = sorted(range(error.size), key=lambda i: reliability.flat[i])
    curve = [np.mean([error.flat[i] for i in order[error.size * x // 100 :]]) for x in range(100)]
    area = np.mean(np.array(curve) / curve[0])
    assert metrics.sparsification(error, reliability) == pytest.approx(area, abs=1e-6)  # seen: 4e-8
    assert metrics.sparsification(error, -error) < area < 1  # no order is better than the errors' own
    assert metrics.sparsification(error, 3 * reliability + 5) == pytest.approx(area)  # only the order counts


def test_sparsification_of_no_error_is_none():
    assert metrics.sparsification(np.zeros(4), np.arange(4)) is None
