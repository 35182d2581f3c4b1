"""The measurements of docs/scaling.md: their arithmetic, and that the page says what was measured."""

from pathlib import Path

import numpy as np
import pytest
from priorraw.files import read_json
from priorraw.results import fill

from benchmarks.archive import predicted, steady, write_tree
from benchmarks.full_bank_data import SIDE, crops_of
from benchmarks.scaling_page import full_bank, sensors

ROOT = Path(__file__).parents[1]


def test_a_line_through_two_archives_tells_the_third():
    small, larger = ({"pictures": n, "seconds": 3 + 0.25 * n} for n in (20, 60))
    assert predicted(small, larger, 1000) == pytest.approx({"start": 3, "per_picture": 0.25, "seconds": 253})


def test_the_steady_rate_leaves_the_start_out():
    assert steady([100.0, *(130 + 0.5 * i for i in range(40))]) == pytest.approx(0.5)


def test_an_archive_to_measure_has_all_its_pictures(tmp_path):
    write_tree(tmp_path, 3)
    assert len({path.read_bytes() for path in tmp_path.rglob("*.jpg")}) == 3


def test_crops_tile_a_picture():
    raw = np.zeros((2 * SIDE + 100, SIDE + 50, 3), np.float32)
    assert [crop.shape for crop in crops_of(raw, 0)] == [(SIDE, SIDE, 3)] * 2
    assert len(list(crops_of(raw, 101))) == 0


def test_the_page_says_what_was_measured(tmp_path):
    bank = read_json(ROOT / "benchmarks/results/full-bank.json")
    page = tmp_path / "scaling.md"
    page.write_text((ROOT / "docs/scaling.md").read_text())
    fill(page, {"full-bank": lambda: full_bank(bank), "sensors": lambda: sensors(bank)})
    assert page.read_text() == (ROOT / "docs/scaling.md").read_text()
    assert bank["features"] == 26_214_400
