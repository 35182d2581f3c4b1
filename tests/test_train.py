"""Both training stages on tiny scenes: they learn, resume exactly, and never see a picture's own bank."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from priorraw import train_reconstruct as stage3
from priorraw import train_search as stage1
from priorraw.errors import InputError
from priorraw.pictures import TrainingPicture, camera_vector, load_cameras
from priorraw.train import CHECKPOINT, TrainConfig, fit
from priorraw.train_reconstruct import Camera, ReconstructConfig, train_reconstruct
from priorraw.train_search import SearchConfig, train_search
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

SEARCH = SearchConfig(targets=2, references=4, pixels=64)
RECONSTRUCT = ReconstructConfig(batch=4, entries=16)
SHORT = TrainConfig(steps=12, learning_rate=3e-3, warm_up=2, checkpoint_every=4)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingPicture]:
    (camera,) = load_cameras([tiny.dataset(tmp_path_factory.mktemp("train") / "d", 8)], "train")
    assert camera.name == tiny.CAMERA and len(camera.pictures) == 8
    return camera.pictures


def run_search(pictures: list[TrainingPicture], out: Path, config: TrainConfig = SHORT) -> nn.Module:
    return train_search([pictures], tiny.config(), config, out, SEARCH)


def run_reconstruct(
    pictures: list[TrainingPicture], out: Path, config: TrainConfig = SHORT, **parts: bool
) -> nn.Module:
    camera = Camera(pictures, tiny.bank_info(K=32, G=4, d=0))
    return train_reconstruct(tiny.model(), [camera], tiny.config(**parts), config, out, RECONSTRUCT)


STAGES = pytest.mark.parametrize(
    ("run", "module", "loss"),
    [(run_search, stage1, "search_loss"), (run_reconstruct, stage3, "reconstruction_loss")],
    ids=["search", "reconstruct"],
)


def recorded(monkeypatch: pytest.MonkeyPatch, module, name: str, stop_after: int | None = None) -> list[float]:
    """The losses of a run, in order; after `stop_after` of them the run is interrupted."""
    losses: list[float] = []
    loss = getattr(module, name)

    def record(*arguments: Tensor) -> Tensor:
        if len(losses) == stop_after:
            raise KeyboardInterrupt
        value = loss(*arguments)
        losses.append(value.item())
        return value

    monkeypatch.setattr(module, name, record)
    return losses


@STAGES
def test_training_lowers_the_loss(run, module, loss, pictures, tmp_path, monkeypatch):
    losses = recorded(monkeypatch, module, loss)
    run(pictures, tmp_path, replace(SHORT, steps=80, warm_up=10))
    first, last = sum(losses[:10]), sum(losses[-10:])
    assert last < 0.9 * first  # seen: 0.28 and 0.81


@STAGES
def test_an_interrupted_run_ends_with_the_weights_of_a_whole_one(run, module, loss, pictures, tmp_path, monkeypatch):
    whole = run(pictures, tmp_path / "whole")
    with monkeypatch.context() as patched:
        recorded(patched, module, loss, stop_after=10)
        with pytest.raises(KeyboardInterrupt):
            run(pictures, tmp_path / "parts")
    losses = recorded(monkeypatch, module, loss)
    resumed = run(pictures, tmp_path / "parts")
    assert len(losses) == 4  # went on from the checkpoint of step 8
    assert_same(whole.state_dict(), resumed.state_dict())
    # The tensors, not the bytes: safetensors writes two metadata keys in either order.
    assert_same(load_file(tmp_path / "whole" / CHECKPOINT), load_file(tmp_path / "parts" / CHECKPOINT))
    assert_same(resumed.state_dict(), run(pictures, tmp_path / "parts").state_dict())  # a finished run is kept
    assert len(losses) == 4


@STAGES
def test_another_seed_gives_other_weights(run, module, loss, pictures, tmp_path):
    one, two = (run(pictures, tmp_path / str(s), replace(SHORT, steps=2, seed=s)).state_dict() for s in (0, 1))
    assert any((one[k] != two[k]).any() for k in one)


@STAGES
def test_other_settings_are_refused(run, module, loss, pictures, tmp_path):
    run(pictures, tmp_path, replace(SHORT, steps=2))
    for other in (replace(SHORT, steps=3), replace(SHORT, steps=2, seed=1), replace(SHORT, steps=2, learning_rate=1.0)):
        with pytest.raises(InputError, match=f"{CHECKPOINT}: made with other settings"):
            run(pictures, tmp_path, other)
    if run is run_search:
        with pytest.raises(InputError, match="other settings"):
            run(pictures[:-1], tmp_path, replace(SHORT, steps=2))


def test_one_stage_does_not_go_on_from_the_other(pictures, tmp_path):
    run_search(pictures, tmp_path, replace(SHORT, steps=2))
    with pytest.raises(InputError, match="other settings"):
        run_reconstruct(pictures, tmp_path, replace(SHORT, steps=2))


@pytest.mark.parametrize("damage", ["truncated", "empty", "pickle", "foreign", "no step"])
def test_a_damaged_checkpoint_is_refused(damage, pictures, tmp_path):
    run_search(pictures, tmp_path, replace(SHORT, steps=2))
    path = tmp_path / CHECKPOINT
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "pickle":
        torch.save({"step": torch.tensor(1)}, path)
    elif damage == "foreign":
        save_file({"weight": torch.zeros(3)}, path)
    else:
        with safe_open(path, "pt") as file:
            config = file.metadata()["config"]
        save_file(load_file(path), path, {"config": config})
    with pytest.raises(InputError, match=f"{CHECKPOINT}: not a readable checkpoint"):
        run_search(pictures, tmp_path, replace(SHORT, steps=2))


def test_a_checkpoint_is_safetensors_with_all_that_a_run_needs(pictures, tmp_path):
    model = run_search(pictures, tmp_path, replace(SHORT, steps=2))
    tensors = load_file(tmp_path / CHECKPOINT)
    assert {k.split(".")[0] for k in tensors} == {"model", "average", "adam"}
    assert_same(model.state_dict(), {k[8:]: v for k, v in tensors.items() if k.startswith("average.")})
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == [CHECKPOINT]  # no temporary file stays


def test_the_second_stage_leaves_encoder_and_affinity_alone(pictures, tmp_path):
    before, after = tiny.model().state_dict(), run_reconstruct(pictures, tmp_path).state_dict()
    for name, value in after.items():
        fixed = name.split(".")[0] in ("encoder", "affinity")
        assert torch.equal(value, before[name]) or not fixed
    fresh = stage3.PriorRAW(tiny.config()).state_dict()
    assert all((after[k] != fresh[k]).any() for k in after if k.startswith("reconstructor.") and k.endswith("weight"))


@pytest.mark.parametrize("off", [("prior",), ("attention",), ("non_local",), ("prior", "non_local")])
def test_every_ablation_trains(off, pictures, tmp_path):
    model = run_reconstruct(pictures, tmp_path, replace(SHORT, steps=2), **dict.fromkeys(off, False))
    assert all(torch.isfinite(v).all() for v in model.state_dict().values())


def test_a_picture_never_meets_a_bank_with_its_own_pixels():
    """Even pictures are 0.2 everywhere, odd ones 0.8: the other half's RAW is all that a lookup may find."""
    pictures = [tiny.flat_picture(0.2 if i % 2 == 0 else 0.8, seed=i) for i in range(6)]
    folds = stage3._folds(tiny.model(), Camera(pictures, tiny.bank_info(K=16, G=4, d=0)))
    assert len(folds) == 2
    for fold, own, other in zip(folds, (0.2, 0.8), (0.8, 0.2), strict=True):
        assert len(fold.crops) == 3
        assert all((crop.raw - own).abs().max() < 1e-6 for crop in fold.crops)
        assert (fold.values[3:] - other).abs().max() < 1e-5
        # Assembled RAW of crops and thumbnails, for every mirror image; float16 keeps three digits.
        assert (fold.maps[:, :, :3].float() - other).abs().max() < 1e-3
        assert (fold.thumbnail_maps[:, :, :3].float() - other).abs().max() < 1e-3


def test_maps_of_crops_are_what_the_model_looks_up():
    """Of a picture of 64x128, as it is and mirrored: the crop's map, mirrored, is the map of the mirrored crop."""
    wide = tiny.flat_picture(0.5, 0, side=128)
    wide = replace(wide, srgb=wide.srgb[:, :64], raw=wide.raw[:, :64], valid=wide.valid[:, :64])
    wide = replace(wide, thumbnail=torch.rand(3, 64, 64))
    model = tiny.model()
    pictures = [wide, tiny.flat_picture(0.5, 1), wide, tiny.flat_picture(0.5, 2)]
    fold = stage3._folds(model, Camera(pictures, tiny.bank_info(K=16, G=4, d=0)))[0]
    assert len(fold.crops) == 4
    for m, axes in enumerate(stage3.MIRRORS):
        context = model.encoder.context(wide.thumbnail.flip(axes)[None])
        maps, _ = model.lookup(wide.srgb.flip(axes)[None], context, fold.keys, fold.values)
        for i, left in enumerate((0, 32)):
            crop = maps[0].flip(axes)[..., left : left + 32].flip(axes)
            assert (fold.maps[m, i].float() - crop).abs().max() < 1e-3  # float16
            assert torch.equal(fold.crops[i].srgb, wide.srgb[..., 2 * left : 2 * left + 64])


# --- the loop -------------------------------------------------------------------------------------------------


def test_the_loop_minimises_and_returns_the_running_mean(tmp_path):
    """A parabola, whose minimum is known."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    config = TrainConfig(steps=400, learning_rate=0.05, warm_up=10, weight_decay=0, average=0.9)
    trained = fit(
        model, list(model.parameters()), lambda _: (model.weight - 0.7).square().sum(), config, tmp_path, {"a": 1}
    )
    assert trained.weight.item() == pytest.approx(0.7, abs=0.01)
    assert not trained.training
    assert any((tmp_path / "log").iterdir())  # TensorBoard


def test_a_loss_that_is_not_finite_stops_with_one_line(tmp_path):
    model = nn.Linear(1, 1)
    with pytest.raises(InputError, match="loss is nan at step 0; try a lower --learning-rate"):
        fit(model, list(model.parameters()), lambda _: model.weight.sum() * float("nan"), SHORT, tmp_path, {})
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "out").write_text("")
    model = nn.Linear(1, 1)
    with pytest.raises(InputError, match="out: cannot be made"):
        fit(model, list(model.parameters()), lambda _: model.weight.sum(), SHORT, tmp_path / "out", {})


def test_a_step_draws_the_same_whatever_came_before(pictures, tmp_path):
    """Eight steps at once, or the same after a hundred draws from the global generator."""
    one = run_search(pictures, tmp_path / "a", replace(SHORT, steps=3))
    torch.rand(100)
    assert_same(one.state_dict(), run_search(pictures, tmp_path / "b", replace(SHORT, steps=3)).state_dict())


# --- what cannot be trained on --------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [run_search, run_reconstruct])
def test_a_single_picture_is_refused(run, pictures, tmp_path):
    with pytest.raises(InputError, match="two pictures"):
        run(pictures[:1], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("run", [run_search, run_reconstruct])
def test_pictures_below_the_crop_are_refused(run, pictures, tmp_path):
    small = [replace(p, srgb=p.srgb[:, :56], raw=p.raw[:, :56], valid=p.valid[:, :56]) for p in pictures]
    with pytest.raises(InputError, match="is 64x56, the crops are 64x64"):
        run(small, tmp_path / "out")


def test_the_camera_vector_is_matrix_mean_and_spread(pictures):
    vector = camera_vector(pictures, tiny.MATRIX)
    lights = torch.stack([p.light for p in pictures])
    assert vector.shape == (13,)
    assert (vector[:9].view(3, 3).sum(1) - 1).abs().max() < 1e-6  # neutral stays neutral
    assert torch.equal(vector[9:11], lights.mean(0)) and torch.equal(vector[11:], lights.std(0))
    assert torch.equal(camera_vector(pictures[:1], tiny.MATRIX)[11:], torch.full((2,), 0.02))


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
