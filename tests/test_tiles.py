"""The tile rule: cores partition any picture, and a tiled network gives what the whole picture gives."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from priorraw_edge.runtime.reconstruct import reconstruct
from priorraw_edge.runtime.tiles import padded, plan, plan_axis, read_tile
from torch import nn

TILE, HALO, ALIGN = 96, 24, 8


class ConvEngine:
    """A small net of the model's kind: strided convolutions to 1/8, transposed ones back, random weights."""

    camera, color_matrix = "test", np.eye(3)
    tile_size, halo, align = TILE, HALO, ALIGN

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 2, stride=2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 2, stride=2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 2, stride=2),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 8, 2, stride=2),
            nn.ConvTranspose2d(8, 4, 2, stride=2),
            nn.Conv2d(4, 4, 3, padding=1),
        )

    def forward(self, srgb: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.net(torch.from_numpy(srgb.transpose(2, 0, 1)[None].copy()))[0].permute(1, 2, 0).numpy()

    def scene(self, thumbnail: np.ndarray) -> np.ndarray:
        return np.zeros((1, 1), np.float32)

    def tile(self, srgb: np.ndarray, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert srgb.shape == (TILE, TILE, 3)
        out = self.forward(srgb)
        return out[..., :3], out[..., 3]


def receptive_radius(engine: ConvEngine) -> int:
    """Largest distance at which an input pixel changes the output, over all phases of the stride."""
    zero = np.zeros((TILE, TILE, 3), np.float32)
    base, radius = engine.forward(zero), 0
    for phase in range(ALIGN):
        poked = zero.copy()
        poked[TILE // 2 + phase, TILE // 2 + phase] = 100
        rows, columns = np.nonzero((engine.forward(poked) != base).any(-1))
        here = TILE // 2 + phase
        radius = max(radius, *(abs(edge - here) for edge in (*rows, *columns)))
    return radius


def test_the_test_network_fits_its_halo():
    assert 16 < receptive_radius(ConvEngine()) <= HALO  # seen: 21


@pytest.mark.parametrize("size", [(200, 331), (97, 96), (96, 97), (48, 500), (1, 1), (5, 130), (181, 173)])
def test_tiled_equals_whole(size):
    engine = ConvEngine()
    H, W = size
    srgb = np.random.default_rng(1).random((H, W, 3), np.float32)
    missing = (0, padded(H, TILE, ALIGN) - H), (0, padded(W, TILE, ALIGN) - W), (0, 0)
    whole = engine.forward(np.pad(srgb, missing, mode="edge"))[:H, :W]

    result = reconstruct(srgb, engine)
    # Equal but for the order of summation, which convolution libraries choose by size. Seen: 3e-8 of values up to 0.25.
    assert np.abs(result.raw - whole[..., :3]).max() < 1e-6
    assert np.abs(result.reliability - whole[..., 3]).max() < 1e-6


def test_a_halo_below_the_receptive_field_shows():
    """The check above can fail: with a third of the halo there are seams."""
    engine = ConvEngine()
    engine.halo = 8
    srgb = np.random.default_rng(1).random((96, 300, 3), np.float32)
    whole = engine.forward(np.pad(srgb, ((0, 0), (0, 4), (0, 0)), mode="edge"))[:, :300]
    assert np.abs(reconstruct(srgb, engine).raw - whole[..., :3]).max() > 1e-4  # seen: 5e-4


@st.composite
def layouts(draw):
    align = draw(st.sampled_from([1, 2, 8, 16]))
    halo = draw(st.integers(0, 70))
    tile = (2 * halo // align + draw(st.integers(1, 30)) + 1) * align
    return tile, halo, align


@settings(max_examples=300, deadline=None)
@given(length=st.integers(1, 25_000), layout=layouts())
@example(length=1, layout=(256, 48, 8))
@example(length=3, layout=(256, 48, 8))
@example(length=256, layout=(256, 48, 8))
@example(length=257, layout=(256, 48, 8))
@example(length=300, layout=(256, 48, 8))
@example(length=20_000, layout=(256, 48, 8))
def test_an_axis_is_partitioned_a_halo_away_from_inner_borders(length, layout):
    tile, halo, align = layout
    end = padded(length, tile, align)
    at = 0
    for origin, start, stop in plan_axis(length, tile, halo, align):
        assert origin % align == 0
        assert 0 <= origin <= end - tile
        assert start == at < stop  # in turn, without gap or overlap, never empty
        assert origin <= start
        assert stop <= origin + tile
        assert origin == 0 or start - origin >= halo
        assert origin + tile == end or origin + tile - stop >= halo
        at = stop
    assert at == length


@pytest.mark.parametrize("size", [(1, 1), (3, 20_000), (20_000, 3), (300, 20_000), (3000, 4000)])
def test_cores_cover_every_pixel_once(size):
    covered = np.zeros(size, np.uint8)
    for tile in plan(*size, 256, 48, 8):
        covered[tile.core] += 1
    assert covered.min() == covered.max() == 1


def test_a_tile_without_a_core_is_refused():
    with pytest.raises(ValueError, match="leaves no core"):
        plan_axis(100, 96, 48, 8)
    with pytest.raises(ValueError, match="leaves no core"):
        plan_axis(100, 100, 8, 8)


def test_reading_beyond_the_edge_repeats_it():
    picture = np.arange(2 * 3 * 3, dtype=np.float32).reshape(2, 3, 3)
    part = read_tile(picture, 0, 0, 4)
    assert part.shape == (4, 4, 3)
    assert (part[:2, :3] == picture).all()
    assert (part[3, 3] == picture[1, 2]).all()
    assert part.flags.c_contiguous
