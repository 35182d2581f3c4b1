"""tests/vectors/tiles.json is what the Python planner plans; the C++ planner is held to it in test_native.py."""

import json

import pytest
from priorraw_edge.runtime.tiles import plan
from tile_vectors import FILE, KEYS, vectors_text


def test_the_python_planner_matches_the_shared_vectors():
    assert FILE.read_text() == vectors_text()


def test_the_vectors_hold_what_the_rule_says():
    """By hand: 300 rows in tiles of 128 keep 128 - 2 * 48 = 32 each, 80 at a border."""
    layouts = json.loads(FILE.read_text())["layouts"]
    tiles = next(layout["tiles"] for layout in layouts if (layout["height"], layout["tile"]) == (300, 128))
    rows = sorted({(y, top, bottom) for y, _, top, bottom, _, _ in tiles})
    assert rows == [
        (0, 0, 80),
        (32, 80, 112),
        (64, 112, 144),
        (96, 144, 176),
        (128, 176, 208),
        (160, 208, 240),
        (176, 240, 300),
    ]


def test_layouts_without_a_core_are_refused():
    for layout in json.loads(FILE.read_text())["refused"]:
        with pytest.raises(ValueError, match="leaves no core"):
            plan(*(layout[key] for key in KEYS))
