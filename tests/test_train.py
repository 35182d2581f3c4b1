"""Both training stages on tiny scenes: they learn, resume exactly, and never see a picture's own bank."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from priorraw import crops
from priorraw import train_light as stage2
from priorraw import train_reconstruct as stage3
from priorraw import train_search as stage1
from priorraw.assets import load_reconstructor, save_part
from priorraw.cameras import color_matrix
from priorraw.distributed import Part
from priorraw.errors import InputError
from priorraw.pictures import CameraPictures, TrainingPicture, camera_vector, load_cameras
from priorraw.train import CHECKPOINT, TrainConfig, fit
from priorraw.train_light import Camera, train_light
from priorraw.train_reconstruct import ReconstructConfig, train_reconstruct
from priorraw.train_search import SearchConfig, train_search
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

SEARCH = SearchConfig(targets=2, references=4, pixels=64)
RECONSTRUCT = ReconstructConfig(batch=4)
SHORT = TrainConfig(steps=12, learning_rate=3e-3, warm_up=2, checkpoint_every=4)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingPicture]:
    (camera,) = load_cameras([tiny.dataset(tmp_path_factory.mktemp("train") / "d", 8)], "train")
    assert camera.name == tiny.CAMERA and len(camera.pictures) == 8
    return camera.pictures


def run_search(pictures: list[TrainingPicture], out: Path, config: TrainConfig = SHORT) -> nn.Module:
    return train_search([pictures], tiny.config(), config, out, SEARCH)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage2, "BATCH", 4)


def run_light(
    pictures: list[TrainingPicture], out: Path, config: TrainConfig = SHORT, *, prior: bool = True
) -> nn.Module:
    camera = Camera(pictures, tiny.bank_info(K=32, G=4, d=0))
    return train_light(tiny.model(), [camera], tiny.config(prior=prior), config, out)


def run_reconstruct(pictures: list[TrainingPicture], out: Path, config: TrainConfig = SHORT) -> nn.Module:
    camera = CameraPictures(tiny.CAMERA, tiny.MATRIX, pictures)
    return train_reconstruct([camera], tiny.config(), config, out, RECONSTRUCT)


def scenes_of(pictures: list[TrainingPicture]) -> list[crops.Scene]:
    vector = camera_vector(pictures, tiny.MATRIX)
    return [crops.Scene(picture, vector, tiny.MATRIX) for picture in pictures]


STAGES = pytest.mark.parametrize(
    ("run", "module", "loss"),
    [
        (run_search, stage1, "search_loss"),
        (run_light, stage2, "light_loss"),
        (run_reconstruct, stage3, "reconstruction_loss"),
    ],
    ids=["search", "light", "reconstruct"],
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
    for name, value in (("RENDERED_SHARE", 1), ("EXPOSURE", 4), ("JPEG_SHARE", 0), ("BORROWED_SHARE", 0)):
        monkeypatch.setattr(crops, name, value)  # as they are, these scenes clip nowhere: nothing to learn
    # The same batch at every step, so that what falls is the loss and not the difficulty.
    monkeypatch.setattr("priorraw.train.step_generator", lambda seed, step: torch.Generator().manual_seed(0))
    losses = recorded(monkeypatch, module, loss)
    run(pictures, tmp_path, replace(SHORT, steps=40, warm_up=4))
    first, last = sum(losses[:4]), sum(losses[-4:])
    assert last < first - 0.05 * abs(first)  # logarithms are negative; the least seen: 0.062


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


@pytest.mark.parametrize(("run", "part"), [(run_light, "light"), (run_reconstruct, "reconstructor")])
def test_a_stage_trains_its_own_part_alone(run, part, pictures, tmp_path):
    before = run(pictures, tmp_path / "one", replace(SHORT, steps=1, learning_rate=1e-12)).state_dict()
    after = run(pictures, tmp_path / "many").state_dict()
    for name, value in after.items():
        assert torch.equal(value, before[name]) or name.startswith(f"{part}.")
    # These scenes clip nowhere, so the reconstructor's residual has nothing to learn; its expected error has.
    trained = {k for k in after if k.startswith(f"{part}.") and k.endswith("weight")} - {"reconstructor.head.weight"}
    assert trained and all((after[k] != before[k]).any() for k in trained)


def test_the_reconstructor_goes_on_from_given_weights(pictures, tmp_path):
    model = tiny.model(seed=5)
    save_part(model, ("reconstructor",), tmp_path / "reconstructor.safetensors")
    config, start = load_reconstructor(tmp_path / "reconstructor.safetensors")
    assert config.reconstructor == model.config.reconstructor
    camera = CameraPictures(tiny.CAMERA, tiny.MATRIX, pictures)
    one = replace(SHORT, steps=1, learning_rate=1e-12)
    trained = train_reconstruct([camera], config, one, tmp_path / "run", RECONSTRUCT, start)
    for name, value in trained.reconstructor.state_dict().items():
        assert (value - start[name]).abs().max() < 1e-9  # seen: 0
    other = tiny.model(seed=6).reconstructor.state_dict()
    stage3.blend_weights(trained.reconstructor, other, 0.25)
    for name, value in trained.reconstructor.state_dict().items():
        assert (value - (0.75 * start[name] + 0.25 * other[name])).abs().max() < 1e-6  # seen: 6e-8
    save_part(model, ("light",), tmp_path / "light.safetensors")
    with pytest.raises(InputError, match="holds no reconstructor"):
        load_reconstructor(tmp_path / "light.safetensors")


@pytest.mark.parametrize("own_isp", [True, False])
def test_only_our_own_rendering_is_rendered_anew(own_isp, pictures, monkeypatch):
    calls = []
    monkeypatch.setattr(crops, "RENDERED_SHARE", 1)
    monkeypatch.setattr(crops, "JPEG_SHARE", 0)
    monkeypatch.setattr(crops, "render", lambda raw, *_: calls.append(raw) or raw)
    scene = replace(scenes_of(pictures)[0], picture=replace(pictures[0], own_isp=own_isp))
    crops.crop(scene, crops.draw_view(scene.picture, [scene], torch.Generator().manual_seed(0)))
    assert len(calls) == own_isp


def test_the_light_trains_without_the_prior(pictures, tmp_path):
    model = run_light(pictures, tmp_path, replace(SHORT, steps=2), prior=False)
    assert all(torch.isfinite(v).all() for v in model.state_dict().values())


def test_a_picture_never_meets_a_bank_with_its_own_pixels():
    """Even pictures are 0.2 everywhere, odd ones 0.8: the other half's RAW is all that a lookup may find."""
    pictures = [tiny.flat_picture(0.2 if i % 2 == 0 else 0.8, seed=i) for i in range(6)]
    model = tiny.model()
    maps = stage2._cross_fitted_maps(model, Camera(pictures, tiny.bank_info(K=16, G=4, d=0)))
    assert maps.shape == (2, 6, 7, 32, 32)
    for i in range(6):  # float16 keeps three digits
        assert (maps[:, i, :3].float() - (0.8 if i % 2 == 0 else 0.2)).abs().max() < 1e-3


def test_a_light_that_is_off_comes_with_the_raw_that_belongs_to_it(pictures, monkeypatch):
    """The closed form, where training starts, is then right for every light; so an untrained loss is tiny."""
    seen = []
    monkeypatch.setattr(stage3, "reconstruction_loss", lambda *a: seen.append(a) or a[0].sum())
    model = stage3.PriorRAW(tiny.config())
    monkeypatch.setattr(crops, "JPEG_SHARE", 0)
    monkeypatch.setattr(crops, "RENDERED_SHARE", 0)
    scenes, every = scenes_of(pictures), list(range(len(pictures)))
    stage3._loss(model, scenes, every, torch.Generator().manual_seed(0), torch.device("cpu"), Part())
    predicted, _, target, valid = seen[0]
    unclipped = (target < 0.99) & (valid == 1)
    # Seen: 5.3e-3, the worst of the 8-bit codes under the strongest gain; with the picture's own raw it is 0.2.
    assert (predicted - target).abs()[unclipped].max() < 1e-2
    untouched = torch.stack([p.raw for p in pictures])
    assert (predicted - untouched).abs()[unclipped].max() > 0.05


def test_a_crop_that_is_exposed_anew_is_rendered_as_a_camera_would(pictures, monkeypatch):
    """Where nothing clips, undoing the rendering gives the crop's raw-RGB back; it is brighter than the stored one."""
    import numpy as np
    from priorraw import isp
    from priorraw.light import response_to_white

    monkeypatch.setattr(crops, "JPEG_SHARE", 0)
    monkeypatch.setattr(crops, "RENDERED_SHARE", 1)
    monkeypatch.setattr(crops, "BORROWED_SHARE", 0)
    scene = scenes_of(pictures)[0]
    srgb, raw, valid = crops.crop(scene, crops.draw_view(scene.picture, [scene], torch.Generator().manual_seed(0)))
    gains = 1 / response_to_white(pictures[0].light[None])[0].numpy()
    undone = isp.unrender(srgb.permute(1, 2, 0).numpy(), gains, tiny.MATRIX)
    unclipped = ((srgb > 0) & (srgb < 1)).all(0).numpy() & (valid[0] == 1).numpy()
    assert unclipped.mean() > 0.3
    # Seen: 3e-3, the worst of the 8-bit codes.
    assert np.abs(undone - raw.permute(1, 2, 0).numpy())[unclipped].max() < 1e-2
    assert raw.mean() > 1.02 * pictures[0].raw.mean()


def test_a_borrowed_scene_looks_as_it_did_to_the_camera_that_took_it(pictures):
    """Two cameras under two lights: what each renders of the scene is the same picture, where nothing clips."""
    from priorraw import isp
    from priorraw.light import response_to_white

    def rendered(raw: Tensor, scene: crops.Scene) -> Tensor:
        gains = 1 / response_to_white(scene.picture.light[None])[0].numpy()
        return torch.from_numpy(isp.render(raw.permute(1, 2, 0).numpy(), gains, scene.color_matrix))

    own = scenes_of(pictures)[0]
    matrix = color_matrix("sony-slt-a57")
    assert abs(matrix - own.color_matrix).max() > 0.1
    other = crops.Scene(pictures[1], camera_vector(pictures, matrix), matrix)
    window = crops.Window(0, 0, turns=1, flips=[-1])
    moved, known = crops._as_seen_by(own, crops.Borrowed(other, window, 1.0))
    taken = rendered(window.of(other.picture.raw), other)
    unclipped = ((taken > 0) & (taken < 1)).all(-1) & (known[0] == 1) & ((moved > 0) & (moved < 1)).all(0)
    assert unclipped.float().mean() > 0.3
    assert (rendered(moved, own) - taken).abs()[unclipped].max() < 1e-4  # seen: 2.4e-7
    assert (moved - window.of(other.picture.raw)).abs()[:, unclipped].max() > 0.05


# --- the loop -------------------------------------------------------------------------------------------------


def test_the_loop_minimises_and_returns_the_running_mean(tmp_path):
    """A parabola, whose minimum is known."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    config = TrainConfig(steps=400, learning_rate=0.05, warm_up=10, weight_decay=0, average=0.9)
    trained = fit(
        model, list(model.parameters()), lambda *_: (model.weight - 0.7).square().sum(), config, tmp_path, {"a": 1}
    )
    assert trained.weight.item() == pytest.approx(0.7, abs=0.01)
    assert not trained.training
    assert any((tmp_path / "log").iterdir())  # TensorBoard


def test_a_loss_that_is_not_finite_stops_with_one_line(tmp_path):
    model = nn.Linear(1, 1)
    with pytest.raises(InputError, match="loss is nan at step 0; try a lower --learning-rate"):
        fit(model, list(model.parameters()), lambda *_: model.weight.sum() * float("nan"), SHORT, tmp_path, {})
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "out").write_text("")
    model = nn.Linear(1, 1)
    with pytest.raises(InputError, match="out: cannot be made"):
        fit(model, list(model.parameters()), lambda *_: model.weight.sum(), SHORT, tmp_path / "out", {})


def test_a_step_draws_the_same_whatever_came_before(pictures, tmp_path):
    """Eight steps at once, or the same after a hundred draws from the global generator."""
    one = run_search(pictures, tmp_path / "a", replace(SHORT, steps=3))
    torch.rand(100)
    assert_same(one.state_dict(), run_search(pictures, tmp_path / "b", replace(SHORT, steps=3)).state_dict())


# --- what cannot be trained on --------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [run_search, run_light, run_reconstruct])
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
