"""A picture turned and mirrored, and the mean over what an engine says of these views."""

import numpy as np
import pytest
from priorraw_edge.runtime.ensemble import TURNS, SelfEnsemble, turned, turned_back, with_views

SIDE = 16
PICTURE = np.random.default_rng(0).random((SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_is_undone(turn):
    wide = PICTURE[:10]
    assert turned(wide, turn).shape == ((SIDE, 10, 3) if turn.transposed else (10, SIDE, 3))
    assert (turned_back(turned(wide, turn), turn) == wide).all()


def test_all_eight_views_of_a_square_differ():
    views = {turned(PICTURE, turn).tobytes() for turn in TURNS}
    rotated = {np.rot90(side, k).tobytes() for side in (PICTURE, PICTURE[:, ::-1]) for k in range(4)}
    assert views == rotated and len(views) == 8


class Leaning:
    """An engine that leans to one side: each pixel is the mean of itself, the next and the scene; memory is reused."""

    camera, color_matrix, tile_size, halo, align = "none", np.eye(3), SIDE, 1, 1

    def __init__(self):
        self._high, self._reliability = np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((SIDE, SIDE), np.float32)

    def scene(self, thumbnail):
        return thumbnail[:1, :1].mean(-1)

    def with_light(self, scene, light):
        return scene + light.sum()

    def tile(self, srgb, scene):
        self._high[:] = (srgb + np.roll(srgb, 1, 1) + scene) / 3
        self._reliability[:] = self._high.mean(-1)
        return self._high, self._reliability


def test_the_mean_over_all_views_leans_to_no_side():
    engine = SelfEnsemble(Leaning(), 8)
    high, reliability = engine.tile(PICTURE, engine.scene(PICTURE))
    neighbours = sum(np.roll(PICTURE, shift, axis) for shift in (-1, 1) for axis in (0, 1)) / 4
    corners = PICTURE[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    np.testing.assert_allclose(high, (PICTURE + neighbours + corners) / 3, atol=1e-6)
    np.testing.assert_allclose(reliability, high.mean(-1), atol=1e-6)


def test_fewer_views_are_the_first_ones():
    engine = SelfEnsemble(Leaning(), 2)
    light = np.array([0.5, -0.2], np.float32)
    high, _ = engine.tile(PICTURE, engine.with_light(engine.scene(PICTURE), light))
    neighbours = (np.roll(PICTURE, 1, 1) + np.roll(PICTURE, -1, 0)) / 2
    corners = (PICTURE[0, 0].mean() + PICTURE[-1, -1].mean()) / 2 + 0.3
    np.testing.assert_allclose(high, (PICTURE + neighbours + corners) / 3, atol=1e-6)


def test_one_view_is_the_engine_itself():
    engine = Leaning()
    assert with_views(engine, 1) is engine
