"""The bit-depth model: its interval, its halo, its prior, its closed-form start; and the rivals' arithmetic."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from priorraw import depth_batches, train_depth
from priorraw.bit_depth import Depths
from priorraw.depth_batches import Batches, DeepPicture
from priorraw.depth_model import HALO, BitDepth, Contours, DepthConfig, DepthReconstructor, DepthReconstructorConfig
from priorraw.depth_pictures import search_picture
from priorraw.depth_start import start_linear
from priorraw.encoder import EncoderConfig
from priorraw.pictures import thumbnail_of
from priorraw.train import TrainConfig
from torch import nn

from benchmarks.bit_depth.classical import CLASSICAL

PHOTO = torch.from_numpy(np.random.default_rng(0).integers(0, 16, (1, 3, 240, 240)).astype(np.float32)) / 15


def small(*, prior: bool = True, seed: int = 0) -> BitDepth:
    """Random weights, also where training starts at zero."""
    torch.manual_seed(seed)
    shape = DepthReconstructorConfig(prior=prior, full=4, detail=8, width=8, deep=8)
    model = (
        BitDepth(DepthConfig(EncoderConfig(dim=8, width=8, blocks=2, context=8), shape)).eval().requires_grad_(False)
    )
    heads = [model.reconstructor.head, model.reconstructor.linear] + ([model.reconstructor.prior] if prior else [])
    for head in heads:
        nn.init.normal_(head.weight, std=0.3)
    return model


def bank(K: int = 40, d: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    keys = F.normalize(torch.randn(K, d, generator=generator), dim=1)
    return keys, torch.rand(6, K, generator=generator)


def test_results_stay_in_the_interval_of_their_low_code():
    model, depths = small(), Depths(4, 8)
    high, reliability = model.tile(PHOTO, model.scene(PHOTO[..., :64, :64]), *bank())
    codes = depths.high_codes(high.numpy())
    assert (depths.lower(codes) == depths.low_codes(PHOTO.numpy())).all()
    assert len(np.unique(codes - (codes & 0xF0))) == 16  # and reach all of it
    assert reliability.min() > 0 and reliability.max() < 1


def test_receptive_field_fits_the_halo(monkeypatch):
    """Where an output pixel has any gradient at all, with ReLU and clamp made smooth so that no path is dead."""
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: F.softplus(x))
    monkeypatch.setattr(Contours, "forward", lambda self, low: torch.tanh(self.steps(low - 0.5)))
    model = small().double()
    keys, values = (t.double() for t in bank())
    scene = model.scene(PHOTO.double()[..., :64, :64])
    radius = 0
    for pixel in range(112, 120):  # all phases of the stride
        low = PHOTO.double().requires_grad_(True)
        high, log_error = model.restore(low, scene, keys, values)
        (high[..., pixel, pixel].sum() + log_error[..., pixel, pixel].sum()).backward()
        assert low.grad is not None
        radius = max(radius, int((low.grad.abs().sum((0, 1)).nonzero() - pixel).abs().max()))
    assert 80 < radius <= HALO  # seen: 92


def test_contours_are_steps_to_neighbours_cut_at_one_code():
    contours = Contours(4)(PHOTO).detach().numpy()[0]
    codes = np.rint(PHOTO[0].numpy() * 15)
    right = np.clip(codes[:, 20, 31] - codes[:, 20, 30], -1, 1)
    place = 2 * 5 + 3 - 1  # row 2, column 3 of the window, the middle left out
    assert contours[[place, 24 + place, 48 + place], 20, 30] == pytest.approx(right, abs=1e-5)


def test_the_bank_matters_and_the_context_too():
    model = small()
    keys, values = bank()
    scene = model.scene(PHOTO[..., :64, :64])
    first = model.tile(PHOTO, scene, keys, values)[0]
    assert (model.tile(PHOTO, scene, keys, 1 - values)[0] - first).abs().max() > 1e-4
    assert (model.tile(PHOTO, -scene, keys, values)[0] - first).abs().max() > 1e-6


def test_search_pictures_hold_means_of_positions():
    high = np.random.default_rng(1).integers(0, 256, (70, 100, 3)).astype(np.uint8)
    picture = search_picture(high, Depths(4, 8))
    assert picture.raw.shape == (3, 16, 24)
    block = high[4:8, 12:16].astype(float)
    assert picture.raw[:, 1, 3].numpy() == pytest.approx(((block % 16) / 15).mean((0, 1)), abs=1e-6)
    assert picture.srgb[:, 1, 3].numpy() == pytest.approx((block // 16 / 15).mean((0, 1)), abs=1e-6)


def test_the_start_is_the_least_squares_solution():
    """Against NumPy on the same batches, and better than the middle of the interval on a picture of slopes."""
    y, x = np.mgrid[:96, :96]
    slopes = np.stack([40 + 1.1 * x, 200 - 0.7 * y, 90 + 0.5 * x + 0.4 * y]) * 256
    picture = DeepPicture(torch.from_numpy(slopes.astype(np.int32)), 16)
    depths = Depths(4, 8)
    batches = Batches([picture], depths, 64, 2, thumbnails=False)
    model = DepthReconstructor(DepthReconstructorConfig(prior=False, full=4, detail=8, width=8, deep=8))
    start_linear(model, batches, 0, draws=8)
    batch = batches.draw(torch.Generator().manual_seed(5))
    with torch.no_grad():
        started = model.inside(batch.low, model(batch.low, None)[0])
    errors = [(each - batch.high).square().mean().item() for each in (started, model.middle(batch.low))]
    assert errors[0] < 0.8 * errors[1]


@pytest.fixture
def places(monkeypatch) -> tuple[np.ndarray, Batches]:
    """A picture whose codes tell where their pixels lie, and batches that leave them as they are."""
    for share in ("CHANGED_SHARE", "SMOOTH_SHARE", "NOISY_SHARE"):
        monkeypatch.setattr(depth_batches, share, 0.0)
    codes = np.arange(150 * 200, dtype=np.int32).reshape(150, 200)
    picture = DeepPicture(torch.from_numpy(codes)[None].repeat(3, 1, 1), 16)
    return codes, Batches([picture], Depths(4, 16), 64, 32)


def turns(picture: np.ndarray) -> list[np.ndarray]:
    """The eight ways to turn and mirror (..., H, W)."""
    flipped = np.swapaxes(picture, -1, -2)
    return [np.rot90(way, k, (-2, -1)) for way in (picture, flipped) for k in range(4)]


def test_crops_are_windows_turned_every_way(places):
    codes, batches = places
    batch = batches.draw(torch.Generator().manual_seed(1))
    seen = set()
    for high in np.rint(batch.high.numpy() * 65535).astype(int)[:, 0]:
        y, x = np.divmod(high, codes.shape[1])
        window = codes[y.min() : y.max() + 1, x.min() : x.max() + 1]
        ways = {k for k, way in enumerate(turns(window)) if np.array_equal(way, high)}
        assert ways
        seen |= ways
    assert seen == set(range(8))


def test_thumbnails_are_those_of_the_run_time(places):
    codes, batches = places
    depths = batches.depths
    low = depths.unit(depths.lower(codes[..., None].repeat(3, 2)))
    expected = turns(thumbnail_of(low).transpose(2, 0, 1))
    for thumbnail in batches.draw(torch.Generator().manual_seed(1)).thumbnails.numpy():
        assert min(np.abs(way - thumbnail).max() for way in expected) < 1e-6  # seen: 3e-8


def test_batches_keep_the_interval_and_repeat():
    """With all that may be done to tones, low is high without its last bits; and the same seed draws the same."""
    picture = DeepPicture(torch.randint(0, 256, (3, 90, 120), generator=torch.Generator().manual_seed(0)).int(), 8)
    batches = Batches([picture, picture], Depths(4, 8), 64, 24)
    batch, again = (batches.draw(torch.Generator().manual_seed(7)) for _ in range(2))
    assert all(torch.equal(getattr(batch, name), getattr(again, name)) for name in ("low", "high", "thumbnails"))
    codes = (batch.high * 255).round().int()
    assert torch.equal(codes >> 4, (batch.low * 15).round().int())
    assert codes.min() == 0 and codes.max() == 255


def test_an_interrupted_run_ends_with_the_weights_of_a_whole_one(tmp_path, monkeypatch):
    codes = torch.randint(0, 256, (3, 90, 120), generator=torch.Generator().manual_seed(0)).int()
    batches = Batches([DeepPicture(codes, 8)], Depths(4, 8), 64, 2, thumbnails=False)
    config = small(prior=False).config
    train = TrainConfig(steps=6, warm_up=2, checkpoint_every=2)

    def run(out):
        return train_depth.train_depth(None, None, config, batches, train, tmp_path / out).reconstructor.state_dict()

    whole, loss, steps = run("whole"), train_depth.reconstruction_loss, iter(range(3))

    def interrupted(*arguments):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return loss(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(train_depth, "reconstruction_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("parts")
    parts = run("parts")
    assert all(torch.equal(parts[name], value) for name, value in whole.items())


def test_classical_methods_by_hand():
    depths = Depths(4, 8)
    low = np.repeat(np.arange(16, dtype=np.uint8), 16)[None, :, None].repeat(40, 0).repeat(3, 2)
    results = {name: expand(low, depths)[20, :, 0].astype(int) for name, (_, expand) in CLASSICAL.items()}
    codes = low[20, :, 0].astype(int)
    assert (results["zero padding"] == codes * 16).all()
    assert (results["ideal gain"] == codes * 17).all()
    assert (results["bit replication"] == codes * 17).all()
    assert (results["middle"] == codes * 16 + 8).all()
    ramp = np.arange(256)
    for name in ("contour regions", "intensity potential"):
        inner = slice(32, 224)
        assert (results[name] // 16 == codes).all()
        assert np.abs(results[name] - ramp)[inner].mean() < 2.5  # the middle is 4 off
