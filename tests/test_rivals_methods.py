"""The parts of the rival methods against direct solutions, analytic cameras and other implementations."""

import numpy as np
import pytest
import tiny
import torch
from priorraw.isp import gains_from_illuminant, render, unrender
from priorraw.metrics import angular_error, psnr
from scipy.interpolate import RegularGridInterpolator

from benchmarks.rivals import superpixels
from benchmarks.rivals.cam import Cam, _sampler_flops, _scatter, reconstructor_network, sampler_network
from benchmarks.rivals.curve import KNOTS
from benchmarks.rivals.global_map import GlobalMap, Poly2, Poly3, root_polynomial
from benchmarks.rivals.light import response, with_known_gains
from benchmarks.rivals.rir import LATTICE, Rir, trilinear
from benchmarks.rivals.rival import Budget, Shot
from benchmarks.rivals.sam import Sam, features, interpolate, sample_grid

CELL = superpixels.CELL
MATRIX = np.array([[0.7, 0.2, 0.05], [0.1, 0.75, 0.1], [0.02, 0.2, 0.6]])


def camera_shots(N: int, seed: int = 0) -> list[Shot]:
    """Unclipped pictures of an analytic camera that is not ours: sRGB is the square root of M^-1 RAW, not rounded."""
    random = np.random.default_rng(seed)
    shots = []
    for i in range(N):
        srgb = random.uniform(0.02, 0.98, (48, 48, 3))
        raw = np.square(srgb) @ MATRIX.T
        shots.append(Shot(str(i), srgb.astype(np.float32), raw.astype(np.float32), np.ones(3)))
    return shots


def random_shot(H: int, W: int, seed: int = 0) -> Shot:
    """A noisy picture, masked in the top left 5x12 pixels: one whole cell is not."""
    random = np.random.default_rng(seed)
    raw = random.uniform(0.01, 0.4, (H, W, 3)).astype(np.float32)
    raw[:5, :12] = 0
    light = np.array([0.5, 1.0, 0.6], np.float32)
    return Shot("noise", render(raw, gains_from_illuminant(light), tiny.MATRIX), raw, light)


def cam() -> Cam:
    torch.manual_seed(0)
    built = Cam(tiny.MATRIX)
    built.sampler, built.reconstructor = (f().requires_grad_(False) for f in (sampler_network, reconstructor_network))
    torch.nn.init.normal_(built.sampler.head.weight)  # associations that differ
    return built


@pytest.mark.parametrize("row", [GlobalMap, Poly2, Poly3])
def test_an_exact_tone_curve_and_matrix_are_recovered(row):
    rival = row(tiny.MATRIX)
    rival.fit(camera_shots(4), Budget(steps=1))
    (unseen,) = camera_shots(1, seed=9)
    # Seen: 97.8 dB each; the straight lines between the knots of a square leave that.
    assert psnr(rival.predict(unseen.srgb, b""), unseen.raw, np.ones((48, 48), bool)) > 90
    np.testing.assert_allclose(rival.curve.matrix, MATRIX, atol=1e-3)  # seen: 4.7e-4


@pytest.mark.parametrize(("degree", "terms"), [(1, 3), (2, 6), (3, 13)])
def test_root_polynomials_scale_with_exposure(degree, terms):
    rgb = np.random.default_rng(0).random((50, 3))
    assert root_polynomial(rgb, degree).shape == (50, terms)
    np.testing.assert_allclose(root_polynomial(3 * rgb, degree), 3 * root_polynomial(rgb, degree), rtol=1e-12)
    assert np.linalg.matrix_rank(root_polynomial(rgb, degree)) == terms  # no term twice


def test_lattice_weights_are_trilinear_interpolation():
    random = np.random.default_rng(0)
    values = random.random((LATTICE,) * 3)
    points = np.vstack([random.random((200, 3)), np.zeros(3), np.ones(3)])
    expected = RegularGridInterpolator((np.linspace(0, 1, LATTICE),) * 3, values)(points)
    np.testing.assert_allclose(trilinear(points) @ values.ravel(), expected, atol=1e-12)  # seen: 2e-16


def test_rir_stores_a_camera_in_its_bytes():
    (shot,) = camera_shots(1)
    rival = Rir(tiny.MATRIX)
    metadata = rival.record(shot)
    assert len(metadata) == rival.metadata_bytes(48, 48) == 2 * KNOTS + 36 + 750
    assert psnr(rival.predict(shot.srgb, metadata), shot.raw, np.ones((48, 48), bool)) > 90  # seen: 97.9


@pytest.mark.parametrize("kernel", ["linear", "thin_plate_spline", "cubic"])
def test_rbf_is_the_direct_solution(kernel):
    random = np.random.default_rng(0)
    sites, values, points = random.random((30, 5)), random.random((30, 3)), random.random((40, 5))

    def phi(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        r = np.linalg.norm(a[:, None] - b[None], axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"linear": -r, "cubic": r**3, "thin_plate_spline": np.where(r > 0, r**2 * np.log(r), 0)}[kernel]

    def polynomial(a: np.ndarray) -> np.ndarray:
        ones = np.ones((len(a), 1))
        return ones if kernel == "linear" else np.hstack([ones, a])

    P = polynomial(sites)
    system = np.block([[phi(sites, sites), P], [P.T, np.zeros((P.shape[1],) * 2)]])
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((P.shape[1], 3))]))
    expected = np.hstack([phi(points, sites), polynomial(points)]) @ weights
    np.testing.assert_allclose(interpolate(sites, values, points, kernel), expected, atol=1e-9)  # seen: 2.5e-14


def test_sam_returns_its_samples_and_leaves_masked_ones_out():
    shot = random_shot(40, 52)
    rival = Sam(tiny.MATRIX)
    rival.kernel, rival.position_weight = "cubic", 0.1
    raw = rival.predict(shot.srgb, rival.record(shot))
    rows, columns = sample_grid(40, 52)
    at = np.ix_(rows, columns)
    seen = shot.raw[at].any(-1)
    assert (~seen).sum() == 1  # the sample at (4, 4) is masked
    np.testing.assert_allclose(raw[at][seen], shot.raw[at][seen], atol=1e-5)  # seen: 7.6e-6, half a 16-bit code
    assert features(shot.srgb, 0.1)[20, 10].tolist() == pytest.approx([*shot.srgb[20, 10], 1 / 52, 2 / 52])


def test_a_flat_colour_is_no_singular_system():
    flat = Shot("flat", np.full((32, 32, 3), 0.5, np.float32), np.full((32, 32, 3), 0.2, np.float32), np.ones(3))
    rival = Sam(tiny.MATRIX)
    rival.kernel, rival.position_weight = "cubic", 0.1
    np.testing.assert_allclose(rival.predict(flat.srgb, rival.record(flat)), 0.2, atol=1e-5)  # seen: 0


@pytest.mark.parametrize(("H", "W"), [(32, 40), (21, 35)])
def test_the_sampler_picks_exactly_one_pixel_a_cell(H, W):
    own = torch.rand(2, 1, H, W, generator=torch.Generator().manual_seed(0))
    mask = superpixels.mask_of_places(superpixels.pick(own), H, W)
    for top in range(0, H, CELL):
        for left in range(0, W, CELL):
            window = np.s_[:, :, top : top + CELL, left : left + CELL]
            assert mask[window].sum((1, 2, 3)).tolist() == [1, 1]
            assert torch.equal((mask * own)[window].amax((1, 2, 3)), own[window].amax((1, 2, 3)))


def test_associations_sum_to_one_and_stay_inside():
    weights = superpixels.association(torch.randn(1, 9, 24, 32, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(weights.sum(1), torch.ones(1, 24, 32))
    up_left = superpixels.NEIGHBOURS.index((-1, -1))
    assert weights[0, up_left, :CELL].max() == 0 and weights[0, up_left, :, :CELL].max() == 0
    assert weights[0, up_left, CELL:, CELL:].min() > 0


def test_superpixel_loss_is_that_of_a_loop_over_pixels():
    H, W = 24, 16
    generator = torch.Generator().manual_seed(0)
    weights = superpixels.association(torch.randn(1, 9, H, W, generator=generator))
    colours = torch.rand(1, 2, H, W, generator=generator)
    cells = np.zeros((H // CELL, W // CELL, 5))  # sums of two colours, row, column, weight
    pixels = {(y, x): np.array([*colours[0, :, y, x].tolist(), y, x, 1.0]) for y in range(H) for x in range(W)}

    def reached(y: int, x: int):
        for k, (dy, dx) in enumerate(superpixels.NEIGHBOURS):
            i, j = y // CELL + dy, x // CELL + dx
            if 0 <= i < H // CELL and 0 <= j < W // CELL:
                yield weights[0, k, y, x].item(), i, j

    for (y, x), pixel in pixels.items():
        for share, i, j in reached(y, x):
            cells[i, j] += share * pixel
    expected = 0.0
    for (y, x), pixel in pixels.items():
        rest = sum(share * cells[i, j, :4] / cells[i, j, 4] for share, i, j in reached(y, x)) - pixel[:4]
        expected += np.linalg.norm(rest[:2]) + superpixels.COMPACTNESS / CELL * np.linalg.norm(rest[2:])
    found = superpixels.superpixel_loss(weights, colours).item()
    assert found == pytest.approx(expected / (H * W), rel=1e-5)  # seen: 7.6e-8


@pytest.mark.parametrize(("H", "W"), [(64, 64), (41, 53)])
def test_cam_metadata_holds_one_unmasked_pixel_a_cell(H, W):
    shot = random_shot(H, W)
    built = cam()
    metadata = built.record(shot)
    assert len(metadata) == built.metadata_bytes(H, W) == 7 * -(-H // 8) * -(-W // 8)
    samples, mask = (t.permute(1, 2, 0).numpy() for t in _scatter(metadata, H, W))
    assert mask.sum() == -(-H // 8) * -(-W // 8)  # also in the two cells that are masked in part
    np.testing.assert_allclose(samples, shot.raw * mask, atol=1e-5)  # seen: 7.6e-6
    assert built.predict(shot.srgb, metadata).shape == (H, W, 3)


def test_camera_flops_are_those_of_the_convolutions():
    sampler = sampler_network()
    total = 0

    def add(conv, inputs, output):
        (picture,) = inputs
        area = output if isinstance(conv, torch.nn.Conv2d) else picture  # a transposed one spreads its input
        total_of_one = 2 * conv.in_channels * conv.out_channels * conv.kernel_size[0] ** 2
        nonlocal total
        total += total_of_one * area.shape[2] * area.shape[3]

    for module in sampler.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.register_forward_hook(add)
    with torch.no_grad():
        sampler(torch.rand(1, 6, 64, 96))
    assert _sampler_flops(64, 96) == total


def test_the_implied_light_is_that_of_the_picture_in_spite_of_outliers():
    random = np.random.default_rng(0)
    light = np.array([0.45, 1.0, 0.7])
    srgb = random.uniform(0.2, 0.8, (64, 64, 3)).astype(np.float32)
    raw = unrender(srgb, gains_from_illuminant(light), tiny.MATRIX)
    raw[:6, :, 0] *= 2  # a tenth of the pixels has another red
    found = response(raw, srgb, tiny.MATRIX)
    assert found is not None and angular_error(found, light) < 0.01  # seen: 1e-6; plain least squares: 1.8
    assert response(raw, np.ones_like(srgb), tiny.MATRIX) is None


def test_known_gains_undo_a_wrong_light():
    srgb = np.random.default_rng(0).uniform(0.2, 0.8, (64, 64, 3)).astype(np.float32)
    true, wrong = np.array([0.45, 1.0, 0.7]), np.array([0.6, 1.0, 0.5])
    raw = unrender(srgb, gains_from_illuminant(true), tiny.MATRIX)
    guess = unrender(srgb, gains_from_illuminant(wrong), tiny.MATRIX)
    found = response(guess, srgb, tiny.MATRIX)
    assert found is not None
    np.testing.assert_allclose(with_known_gains(guess, found, true), raw, atol=1e-6)  # seen: 3e-8; untreated: 0.083
