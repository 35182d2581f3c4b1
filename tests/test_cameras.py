"""The benchmark of banks on cameras that a model has not met: its figure is `evaluate`'s, its tables what it found."""

import pytest
import tiny
from priorraw.assets import Prior
from priorraw.dataset import PairDataset
from priorraw.evaluate import evaluate
from priorraw.pictures import load_cameras

from benchmarks.cameras import _adapted, _bank_of, _thinned, blind, closed_form, hinted
from benchmarks.cameras_page import four_ways, in_words, over_files
from benchmarks.cameras_train import NOTHING, folder_of, is_trained

ROW = {
    "pictures": 32,
    "files": 117,
    "mean_light": 36.671,
    "wrong": {"a": 30.0, "b": 33.333, "c": 31.0},
    "wrong_entries": {"a": 40.0, "b": 39.0, "c": 41.0},
    "own": 42.0,
    "own_hinted": 54.0,
    "adapted": 42.5,
    "trained": 43.77,
    "trained_hinted": 54.48,
    "few": {"10": {"own": [40.0, 42.0], "adapted": [41.0, 41.0], "mean_light": [37.0, 38.0]}},
    "few_test": {"pictures": 32, "own": 42.0},
}


@pytest.fixture
def test_split(tmp_path) -> PairDataset:
    return PairDataset.open(tiny.dataset(tmp_path / "test", 5, "test", seed=1), "test")


@pytest.fixture
def prior() -> Prior:
    return Prior(tiny.model(), tiny.bank(), tiny.CAMERA, "", "", "")


def test_the_figures_are_those_of_evaluate(test_split, prior):
    assert blind(prior, test_split) == pytest.approx(evaluate(test_split, prior)["psnr"], abs=1e-3)
    assert hinted(prior, test_split) == pytest.approx(evaluate(test_split, prior, hint=True)["psnr"], abs=1e-3)
    assert closed_form(prior, test_split) == pytest.approx(evaluate(test_split, prior, "mean-light")["psnr"], abs=1e-3)


def test_a_bank_and_its_adapted_form_differ_in_four_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.cameras.K", 50)
    own = load_cameras([tiny.dataset(tmp_path / "train", 4)], "train")[0]
    groups, bank = _bank_of(tiny.model(), own)
    changed = _adapted(tiny.model(), groups, bank, own.pictures)
    assert bank.keys.shape == (50, 8) and (changed.keys == bank.keys).all()
    assert changed.info.camera_vector[:9] == pytest.approx(bank.info.camera_vector[:9], abs=1e-6)
    assert changed.info.camera_vector[9:] != bank.info.camera_vector[9:]


def test_a_thinned_split_keeps_names_and_lights_together(test_split):
    few = _thinned(test_split, 3)
    assert few.names == [test_split.names[i] for i in (0, 2, 4)]
    assert (few.illuminants == test_split.illuminants[[0, 2, 4]]).all()
    assert _thinned(test_split, 9).names == test_split.names


def test_the_tables(tmp_path):
    table = four_ways({"olympus-e-pl6": ROW, "other": ROW | {"trained_same_budget": 42.2}})
    first, second = table.splitlines()[2:]
    expected = "36.67 | 33.33 / 31.00 / 30.00 | 41.00 / 40.00 / 39.00 | **42.00** | 42.50 |  | 43.77 | 54.00 | 54.48 |"
    assert first == f"| olympus-e-pl6 (117, 32) | {expected}"
    assert "| 42.50 | 42.20 | 43.77 |" in second
    lines = over_files({"olympus-e-pl6": ROW}).splitlines()
    assert lines[0].count("files") == 4
    assert lines[3] == "|  | own bank | 41.00 (40.00) |  |  |  | 42.00 |"


def test_what_is_not_trained_is_not_measured(tmp_path):
    assert folder_of(NOTHING, tmp_path).name == "with-all"
    assert not is_trained(NOTHING, tmp_path)


def test_the_words_are_the_figures():
    text = in_words({"one": ROW, "two": ROW | {"own": 41.0, "trained_same_budget": 42.2}})
    assert "reaches 41.0 to 42.0 dB blind" in text
    assert "mean light that is +4.3 to +5.3 dB" in text
    assert "best other camera's bank +7.7 to +8.7 dB" in text
    assert "best other camera's entries +0.0 to +1.0 dB" in text
    assert "same budget -1.2 to -1.2 dB" in text and "the full one -2.8 to -1.8 dB" in text
    assert "same budget not measured" in in_words({"one": ROW})
