"""Asset folders: a round trip, and refusal of everything that does not match its record."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import tiny
import torch
from priorraw import load_assets
from priorraw.assets import (
    ENCODER,
    ENCODER_PARTS,
    RECONSTRUCTOR,
    RECONSTRUCTOR_PARTS,
    cameras_in,
    check_file,
    describe_file,
    load_model,
    save_part,
    write_asset,
)
from priorraw.bank import Bank
from priorraw.errors import InputError
from priorraw.files import sha256
from priorraw.padding import pad_to_align
from priorraw.pictures import thumbnail_of
from safetensors.torch import load_file, save_file

BANK = f"{tiny.CAMERA}/bank.safetensors"
PHOTO = skimage.data.chelsea()[:45, 150:221].astype(np.float32) / 255


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.assets(tmp_path / "assets")


def asset(folder: Path, **values) -> None:
    """Change entries of asset.json."""
    path = folder / tiny.CAMERA / "asset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_what_was_written_is_loaded(folder):
    prior, model, bank = load_assets(tiny.CAMERA, folder), tiny.model(), tiny.bank()
    loaded = prior.model.state_dict()
    assert loaded.keys() == model.state_dict().keys()
    assert all(torch.equal(loaded[k], v) for k, v in model.state_dict().items())
    assert prior.model.config == tiny.config() and not prior.model.training
    assert not any(p.requires_grad for p in prior.model.parameters())
    assert (prior.bank.keys == bank.keys).all() and prior.camera == tiny.CAMERA
    np.testing.assert_allclose(prior.color_matrix, tiny.MATRIX)
    hashes = (prior.encoder_sha256, prior.reconstructor_sha256, prior.bank_sha256)
    assert hashes == tuple(sha256(folder / name) for name in (ENCODER, RECONSTRUCTOR, BANK))


def test_the_record_says_all_that_matters(folder):
    record = json.loads((folder / tiny.CAMERA / "asset.json").read_text())
    assert record["files"].keys() == {ENCODER, RECONSTRUCTOR, BANK}
    for name, entry in record["files"].items():
        assert entry == {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size}
    assert record["commands"] == ["make assets"] and record["measured"] == {"psnr": 40.0}
    assert record["versions"]["torch"] == version("torch")
    assert cameras_in(folder) == [tiny.CAMERA]


def test_the_same_model_gives_the_same_bytes(folder, tmp_path):
    again = tiny.assets(tmp_path / "again")
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert (again / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_a_picture_of_any_size_goes_through(folder):
    prior = load_assets(tiny.CAMERA, folder)
    raw, reliability = prior(PHOTO)
    assert raw.shape == (45, 71, 3) and reliability.shape == (45, 71)
    assert raw.min() >= 0 and raw.max() <= 1 and reliability.min() > 0 and reliability.max() <= 1
    # By hand: thumbnail and bank to the scene vector, padded picture to RAW.
    keys, values, camera = prior.bank.tensors()
    thumbnail, padded = (
        torch.from_numpy(a.transpose(2, 0, 1)[None].copy()) for a in (thumbnail_of(PHOTO), pad_to_align(PHOTO))
    )
    assert thumbnail.shape == (1, 3, 64, 64) and padded.shape == (1, 3, 48, 72)
    expected, _ = prior.model(padded, prior.model.scene(thumbnail, keys, values, camera))
    assert np.abs(expected[0].permute(1, 2, 0).numpy()[:45, :71] - raw).max() < 1e-6  # seen: 0


@pytest.mark.parametrize(
    ("shape", "least", "expected"), [((45, 71), 0, (48, 72)), ((8, 16), 0, (8, 16)), ((1, 1), 64, (64, 64))]
)
def test_padding_repeats_the_edge(shape, least, expected):
    picture = np.random.default_rng(0).random((*shape, 3))
    padded = pad_to_align(picture, least)
    assert padded.shape == (*expected, 3)
    assert (padded[: shape[0], : shape[1]] == picture).all()
    assert (padded[shape[0] :, : shape[1]] == picture[-1:]).all()
    assert (padded[-1, -1] == picture[-1, -1]).all()


# --- refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [ENCODER, RECONSTRUCTOR, BANK])
def test_a_changed_byte_is_refused_and_the_file_named(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: was changed"):
        load_assets(tiny.CAMERA, folder)
    (folder / name).write_bytes(data[:-1])
    with pytest.raises(InputError, match=f"{name}: was changed"):
        load_assets(tiny.CAMERA, folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: not found"):
        load_assets(tiny.CAMERA, folder)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({}, "not listed with its hash"),
        ({ENCODER: {}}, "was changed"),
        ({ENCODER: "x"}, "not listed with its hash"),
        ([], "lists no files"),
        (None, "lists no files"),
    ],
)
def test_a_record_without_hashes_is_refused(folder, files, line):
    asset(folder, files=files)
    with pytest.raises(InputError, match=line):
        load_assets(tiny.CAMERA, folder)


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_record_is_refused(folder, text):
    (folder / tiny.CAMERA / "asset.json").write_text(text)
    with pytest.raises(InputError, match=r"asset\.json"):
        load_assets(tiny.CAMERA, folder)


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "{tmp}/outside"])
def test_names_that_leave_the_folder_are_refused(folder, tmp_path, name):
    (tmp_path / "outside").write_text("secret")
    name = name.format(tmp=tmp_path)
    with pytest.raises(InputError, match="not listed with its hash"):
        check_file(folder, name, {name: describe_file(tmp_path / "outside")})


@pytest.mark.parametrize("camera", ["../assets/olympus-e-pl6", "/etc", ".", "shared"])
def test_a_camera_name_is_no_path(folder, camera):
    with pytest.raises(InputError, match="is unknown"):
        load_assets(camera, folder)


def test_an_unknown_camera_gets_a_suggestion(folder):
    with pytest.raises(InputError, match="'olympus-epl6' is unknown; did you mean olympus-e-pl6"):
        load_assets("olympus-epl6", folder)
    with pytest.raises(InputError, match="'leica' is unknown; known: olympus-e-pl6"):
        load_assets("leica", folder)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such asset folder"):
        load_assets(tiny.CAMERA, tmp_path / "none")


def test_a_bank_of_another_encoder_is_refused(folder):
    save_part(tiny.model(seed=1), ENCODER_PARTS, folder / ENCODER)
    write_asset(folder, tiny.CAMERA, [], {})  # all hashes are right again
    with pytest.raises(InputError, match=r"bank\.safetensors: built with another encoder"):
        load_assets(tiny.CAMERA, folder)


def test_a_bank_in_place_of_a_model_is_refused(folder):
    shutil.copy(folder / BANK, folder / RECONSTRUCTOR)
    write_asset(folder, tiny.CAMERA, [], {})
    with pytest.raises(InputError, match=r"reconstructor\.safetensors: not a model part"):
        load_assets(tiny.CAMERA, folder)


# --- model parts ----------------------------------------------------------------------------------------------


def test_an_encoder_alone_makes_a_model_that_can_look_up(folder):
    part = load_model([folder / ENCODER])
    whole = tiny.model()
    assert all(torch.equal(v, whole.state_dict()[k]) for k, v in part.encoder.state_dict(prefix="encoder.").items())
    assert part.affinity.log_scale == whole.affinity.log_scale


def test_a_reconstructor_is_no_encoder(folder):
    """Loaded as one, its encoder would be random without a word."""
    with pytest.raises(InputError, match=r"reconstructor\.safetensors: holds no encoder"):
        load_model([folder / RECONSTRUCTOR])


@pytest.mark.parametrize("change", ["shape", "missing", "extra"])
def test_tensors_that_contradict_the_config_are_refused(folder, change):
    path = folder / ENCODER
    tensors = load_file(path)
    name = "encoder.head.bias"
    if change == "shape":
        tensors[name] = torch.zeros(9)
    elif change == "missing":
        del tensors[name]
    else:
        tensors["encoder.other"] = torch.zeros(1)
    save_file(tensors, path, {"config": json.dumps(tiny.config().to_json())})
    with pytest.raises(InputError, match="contradict the config"):
        load_model([path])


@pytest.mark.parametrize("metadata", [None, {"config": "{"}, {"config": "{}"}, {"config": '{"encoder": {"depth": 1}}'}])
def test_a_part_without_its_config_is_refused(folder, metadata):
    path = folder / ENCODER
    save_file(load_file(path), path, metadata)
    with pytest.raises(InputError, match=r"encoder\.safetensors: not a model part"):
        load_model([path])


def test_parts_are_never_unpickled(folder):
    torch.save(tiny.model().state_dict(), folder / ENCODER)
    with pytest.raises(InputError, match="not a model part"):
        load_model([folder / ENCODER])
    with pytest.raises(InputError, match="not a prior bank"):
        Bank.load(folder / ENCODER)


def test_a_part_holds_its_own_tensors_only(folder):
    assert {k.split(".")[0] for k in load_file(folder / ENCODER)} == set(ENCODER_PARTS)
    assert {k.split(".")[0] for k in load_file(folder / RECONSTRUCTOR)} == set(RECONSTRUCTOR_PARTS)
