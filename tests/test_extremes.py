"""Pictures and white balances at the ends of what there is: results are finite, in range, and the same twice."""

import numpy as np
import pytest
import tiny
from priorraw.assets import load_assets
from priorraw_edge.runtime.engine import EagerEngine
from priorraw_edge.runtime.reconstruct import reconstruct
from random_assets import CAMERAS, write_random_assets

SIZE = (70, 90)
NOISE = np.random.default_rng(0).random((*SIZE, 3), np.float32)
PICTURES = {
    "black": np.zeros((*SIZE, 3), np.float32),
    "white": np.ones((*SIZE, 3), np.float32),
    "one code above black": np.full((*SIZE, 3), 1 / 255, np.float32),
    "one code below white": np.full((*SIZE, 3), 254 / 255, np.float32),
    "the least number": np.full((*SIZE, 3), 1e-38, np.float32),
    "red": np.broadcast_to(np.float32([1, 0, 0]), (*SIZE, 3)),
    "blue": np.broadcast_to(np.float32([0, 0, 1]), (*SIZE, 3)),
    "noise": NOISE,
    "black and white": (NOISE > 0.5).astype(np.float32),
    "a white pixel": np.pad(np.ones((1, 1, 3), np.float32), ((30, 39), (40, 49), (0, 0))),
}
# Response to white, R G B: the end of what --hint takes, and a candle's.
LIGHTS = {
    "none": None,
    "red": (1, 0.01, 0.01),
    "blue": (0.01, 0.01, 1),
    "green": (0.01, 1, 0.01),
    "candle": (1, 0.7, 0.1),
}


@pytest.fixture(scope="module")
def engines(tmp_path_factory) -> list[EagerEngine]:
    """Small tiles: the pictures are cut."""
    random = write_random_assets(tmp_path_factory.mktemp("random"))
    small = tiny.assets(tmp_path_factory.mktemp("tiny"))
    return [EagerEngine(load_assets(CAMERAS[0], random), 80), EagerEngine(load_assets(tiny.CAMERA, small), 80)]


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("picture", PICTURES)
def test_results_are_finite_in_range_and_the_same_twice(engines, picture, light):
    known = None if LIGHTS[light] is None else np.array(LIGHTS[light])
    for engine in engines:
        one, two = (reconstruct(PICTURES[picture], engine, known_neutral=known) for _ in range(2))
        for array in (one.raw, one.reliability):
            assert np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1
        assert np.isfinite(one.neutral).all() and (one.neutral > 0).all() and one.neutral.max() == 1
        assert one.raw.tobytes() == two.raw.tobytes() and one.reliability.tobytes() == two.reliability.tobytes()
        assert one.neutral.tobytes() == two.neutral.tobytes()
