"""A camera's bank from its own files: the command, and each step against hand-made numbers."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
import torch
from priorraw import isp
from priorraw.adapt import STEPS, adapt, join, look_up
from priorraw.asset_parts import Parts
from priorraw.assets import ENCODER, load_assets, shipped_assets
from priorraw.bank import Bank, References
from priorraw.camera_bank import FileScore, not_better
from priorraw.cameras import camera_id
from priorraw.files import sha256
from priorraw.leave_one_out import Groups
from priorraw.losses import light_loss
from priorraw.pictures import TrainingPicture
from priorraw.sensor_light import few_files_vector, mean_and_spread
from priorraw.views import MOST_VIEWS, views
from samples import D65_MATRIX, write_dng

MATRIX = np.reshape(D65_MATRIX, (3, 3)) / 10_000
SMALL = ("--entries", 100)
LIGHTS = [(0.45, 0.65), (0.55, 0.55), (0.7, 0.4), (0.5, 0.6), (0.62, 0.48), (0.4, 0.75)]


def write_files(folder: Path, lights=LIGHTS, first: int = 0, **options) -> Path:
    """A DNG of 192x128 for each light (red, blue), of smooth random scenes."""
    folder.mkdir(exist_ok=True)
    for i, (red, blue) in enumerate(lights, start=first):
        random = np.random.default_rng(i)
        scene = cv2.resize(random.uniform(0.02, 0.9, (6, 8, 3)).astype(np.float32), (192, 128))
        raw = scene * np.array([red, 1, blue], np.float32)
        cfa = np.rint(isp.mosaic(raw, "RGGB") * 65535).astype(np.uint16)
        neutral = (round(red * 10_000), 10_000, round(blue * 10_000))
        write_dng(folder / f"shot_{i}.dng", cfa, **({"neutral": neutral} | options))
    return folder


# --- the command ------------------------------------------------------------------------------------------------


def test_a_folder_of_raws_becomes_a_bank(cli, tmp_path):
    folder = write_files(tmp_path / "raws")
    code, out, _ = cli("bank", "build", "--raws", folder, "--camera", "Acme Testcam 1", "-o", tmp_path / "b", *SMALL)
    assert code == 0
    bank = Bank.load(tmp_path / "b" / "bank.safetensors")
    info = bank.info
    assert (info.camera, info.K, info.reference_pictures) == ("acme-testcam-1", 100, 6)
    assert info.encoder_sha256 == sha256(shipped_assets() / ENCODER)
    np.testing.assert_allclose(np.reshape(info.color_matrix, (3, 3)), MATRIX, atol=1e-6)
    np.testing.assert_allclose(info.camera_vector, few_files_vector(np.log(LIGHTS), MATRIX), atol=1e-4)
    assert bank.raw.min() >= 0 and bank.raw.max() <= 0.91  # means of pixels of the scenes
    lines = out.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'b' / 'bank.safetensors'}: acme-testcam-1, 100 entries for ")
    assert lines[1] == "leave one out, mean of 6 files rebuilt with a bank of the others, PSNR on raw-RGB:"
    assert [line.split()[0] for line in lines[2:]] == ["blind", "hinted", "closed", "light"]


def test_json_and_a_file_name(cli, tmp_path):
    folder = write_files(tmp_path / "raws")
    args = ("bank", "build", "--raws", folder, "-o", tmp_path / "mine.safetensors", *SMALL, "--json")
    code, out, _ = cli(*args)
    facts = json.loads(out)
    assert code == 0 and facts["camera"] == "acme-testcam-1" and facts["bytes"] > 1000
    assert [f["name"] for f in facts["files"]] == [f"shot_{i}" for i in range(6)]
    assert facts["expected"]["blind"] == pytest.approx(np.mean([f["blind"] for f in facts["files"]]))
    assert facts["expected"]["hinted"] > facts["expected"]["blind"] > 15
    assert facts["expected"]["adapted"] is None and facts["warnings"] == []
    first = (tmp_path / "mine.safetensors").read_bytes()
    assert cli(*args)[0] == 0
    assert (tmp_path / "mine.safetensors").read_bytes() == first


@pytest.mark.parametrize("better", [True, False])
def test_adapting_moves_four_numbers_and_stays_if_it_helps(cli, tmp_path, monkeypatch, better):
    monkeypatch.setattr("priorraw.camera_bank.not_better", lambda scores: None if better else "adapting does not help")
    folder = write_files(tmp_path / "raws", LIGHTS[:4])
    args = ("bank", "build", "--raws", folder, *SMALL, "--json")
    plain, moved = (json.loads(cli(*args, "-o", tmp_path / o, *a)[1]) for o, a in (("a", ()), ("b", ("--adapt",))))
    assert plain["camera_vector"][:9] == moved["camera_vector"][:9]
    assert (plain["camera_vector"][9:] != moved["camera_vector"][9:]) == better
    assert (moved["warnings"][-1] == "adapting does not help") == (not better)
    assert moved["expected"]["adapted"] > 15
    one, two = (Bank.load(tmp_path / name / "bank.safetensors") for name in "ab")
    assert (one.keys == two.keys).all() and (one.raw == two.raw).all()


def test_adapting_is_judged_by_the_mean_over_the_files():
    scores = [FileScore("a", 40.0, 50.0, 35.0, 3.0, 43.0), FileScore("b", 41.0, 50.0, 35.0, 3.0, 39.0)]
    assert not_better(scores) is None
    worse = [scores[0], replace(scores[1], adapted=37.0)]
    assert "does not help here (40.00 dB, without 40.50)" in (not_better(worse) or "")


def test_an_asset_folder_of_two_cameras(cli, tmp_path):
    folder = write_files(tmp_path / "raws")
    args = ("bank", "build", *SMALL, "--assets", tmp_path / "assets", "--json")
    assert cli(*args, "--raws", folder)[0] == 0
    assert cli(*args, "--raws", folder, "--camera", "Other 2")[0] == 0
    for camera in ("acme-testcam-1", "other-2"):
        prior = load_assets(camera, tmp_path / "assets")
        assert prior.bank.info.camera == camera
        raw, _ = prior(np.full((64, 64, 3), 0.5, np.float32))
        assert np.isfinite(raw).all()
    shipped, own = (load_assets("sony-imx135").model, load_assets("other-2", tmp_path / "assets").model)
    assert all((a == b).all() for a, b in zip(shipped.parameters(), own.parameters(), strict=True))


def test_an_asset_folder_takes_no_second_model(cli, tmp_path):
    folder = write_files(tmp_path / "raws")
    args = ("bank", "build", *SMALL, "--assets", tmp_path / "assets", "--raws", folder)
    assert cli(*args)[0] == 0
    assets = tmp_path / "assets"
    (assets / "shared" / "reconstructor.safetensors").write_bytes(b"another")
    code, _, err = cli(*args, "--camera", "other-2")
    assert code == 2 and "has another model there; name a new folder" in err and err.count("\n") == 1
    assert not (assets / "other-2").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    code, _, err = cli("bank", "build", *SMALL, "--assets", tmp_path / "full", "--raws", folder)
    assert code == 2 and "not empty and no asset folder" in err


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda d: write_files(d, LIGHTS[:3]), "warning: 3 files are few"),
        (lambda d: write_files(d, [(0.5, 0.6)] * 5), "warning: all files were taken in nearly the same light"),
    ],
)
def test_files_that_are_few_or_alike_are_named(cli, tmp_path, make, line):
    make(tmp_path / "raws")
    code, out, _ = cli("bank", "build", "--raws", tmp_path / "raws", "-o", tmp_path / "b", *SMALL)
    assert code == 0 and line in out


def test_two_files_of_one_scene_are_named(cli, tmp_path):
    folder = write_files(tmp_path / "raws")
    (folder / "twin.dng").write_bytes((folder / "shot_2.dng").read_bytes())
    out = cli("bank", "build", "--raws", folder, "-o", tmp_path / "b", *SMALL)[1]
    assert "warning: shot_2 and twin show the same scene" in out


def test_grey_walls_are_too_alike(cli, tmp_path):
    folder = tmp_path / "raws"
    folder.mkdir()
    for i, (red, blue) in enumerate(LIGHTS):
        grey = cv2.resize(np.random.default_rng(i).uniform(0.1, 0.8, (6, 8)).astype(np.float32), (192, 128))
        cfa = np.rint(isp.mosaic(grey[..., None] * np.array([red, 1, blue]), "RGGB") * 65535).astype(np.uint16)
        write_dng(folder / f"{i}.dng", cfa, neutral=(round(red * 10_000), 10_000, round(blue * 10_000)))
    assert (
        "warning: all files show nearly the same colours"
        in cli("bank", "build", "--raws", folder, "-o", tmp_path / "b", *SMALL)[1]
    )


def refused(cli, tmp_path, *args) -> str:
    code, out, err = cli("bank", "build", "-o", tmp_path / "b", *SMALL, *args)
    assert (code, out) == (2, "") and err.startswith("priorraw-edge: ")
    assert not (tmp_path / "b").exists()
    return err.splitlines()[-1]


def test_too_few_none_and_what_is_no_camera_file(cli, tmp_path):
    one = write_files(tmp_path / "one", LIGHTS[:1])
    assert "1 camera file is too few" in refused(cli, tmp_path, "--raws", one)
    (tmp_path / "none").mkdir()
    assert "none: holds no camera files (CR2, NEF" in refused(cli, tmp_path, "--raws", tmp_path / "none")
    assert "lost: not found" in refused(cli, tmp_path, "--raws", tmp_path / "lost")
    (tmp_path / "a.txt").write_text("x")
    assert "a.txt: is no camera file" in refused(cli, tmp_path, "--raws", tmp_path / "a.txt")
    assert "give one of them" in refused(cli, tmp_path)
    assert "give one of them" in refused(cli, tmp_path, tmp_path, "--raws", one)
    assert "go with --raws" in refused(cli, tmp_path, tmp_path, "--adapt")
    assert "--group goes with datasets" in refused(cli, tmp_path, "--raws", one, "--group", 3)


def test_two_cameras_do_not_share_a_bank(cli, tmp_path):
    folder = write_files(tmp_path / "raws", LIGHTS[:3])
    write_files(folder, LIGHTS[3:], first=3, model="Other 2")
    assert "is from acme-other-2" in refused(cli, tmp_path, "--raws", folder, "--camera", "Acme")


def test_a_damaged_file_is_named_or_skipped(cli, tmp_path):
    folder = write_files(tmp_path / "raws")
    path = folder / "shot_3.dng"
    path.write_bytes(path.read_bytes()[:5000])
    assert "shot_3.dng: is cut short" in refused(cli, tmp_path, "--raws", folder)
    code, out, _ = cli("bank", "build", "--raws", folder, "-o", tmp_path / "b", *SMALL, "--skip-bad", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["reference_pictures"] == 5 and "shot_3.dng" in facts["skipped"][0]


def test_what_the_system_hides_in_a_folder_is_no_camera_file(cli, tmp_path):
    folder = write_files(tmp_path / "raws", LIGHTS[:3])
    (folder / "._shot_0.dng").write_bytes(b"\0\5\x16\7")  # macOS, on cards and shares
    code, out, _ = cli("bank", "build", "--raws", folder, "-o", tmp_path / "b", *SMALL, "--json")
    assert code == 0 and json.loads(out)["reference_pictures"] == 3


def test_files_that_are_all_white_are_refused(cli, tmp_path):
    (tmp_path / "raws").mkdir()
    for i in range(3):
        write_dng(tmp_path / "raws" / f"{i}.dng", np.full((128, 192), 65535, np.uint16))
    assert "0: without it the bank is empty" in refused(cli, tmp_path, "--raws", tmp_path / "raws", "--entries", 5000)


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("Canon", "Canon EOS 30D", "canon-eos-30d"),
        ("OLYMPUS IMAGING CORP.", "E-PL6", "olympus-e-pl6"),
        ("NIKON CORPORATION", "NIKON D5000", "nikon-d5000"),
        ("", "Canon EOS 30D", "canon-eos-30d"),
        ("", "", ""),
    ],
)
def test_a_camera_has_one_name(make, model, expected):
    assert camera_id(make, model) == expected


# --- lights of few files ----------------------------------------------------------------------------------------


def test_many_files_speak_for_themselves():
    lights = np.random.default_rng(0).normal((-0.8, -0.2), (0.3, 0.1), (4000, 2))
    mean, spread = mean_and_spread(lights, MATRIX)
    np.testing.assert_allclose(mean, lights.mean(0), atol=2e-3)
    np.testing.assert_allclose(spread, lights.std(0), rtol=0.02)


def test_one_file_counts_a_fifth_of_what_the_matrix_tells():
    """Four assumed files at the sensor's answer to D65 (X, Y, Z = 0.9505, 1, 1.089), 0.196 and -0.223 off."""
    red, green, blue = MATRIX @ [0.95047, 1.0, 1.08883]
    usual = np.log([red / green, blue / green]) + np.array([0.196, -0.223])
    mean, spread = mean_and_spread(np.array([[-0.3, -0.9]]), MATRIX)
    np.testing.assert_allclose(mean, (np.array([-0.3, -0.9]) + 4 * usual) / 5, atol=1e-3)
    np.testing.assert_allclose(spread, [0.226, 0.272])


def test_the_vector_has_the_matrix_first():
    vector = few_files_vector(np.log(LIGHTS), MATRIX)
    assert vector.dtype == np.float32 and vector.shape == (13,)
    np.testing.assert_allclose(vector[:9].reshape(3, 3).sum(1), 1, atol=1e-6)


# --- views, leave-one-out, adapting -----------------------------------------------------------------------------


def picture(H: int, W: int) -> TrainingPicture:
    torch.manual_seed(0)
    srgb, raw = torch.rand(3, H, W), torch.rand(3, H, W)
    valid = torch.ones(1, H, W)
    valid[:, :10, :10] = 0
    return TrainingPicture(srgb, raw, valid, torch.rand(3, 64, 64), torch.tensor([-0.5, -0.6]))


def test_a_thumbnail_has_two_views_and_a_photograph_fourteen():
    small = list(views(picture(64, 64), MOST_VIEWS))
    assert len(small) == 2
    assert (small[0].raw == picture(64, 64).raw).all() and (small[1].raw == small[0].raw.flip(-1)).all()
    large = list(views(picture(256, 384), MOST_VIEWS))
    assert len(large) == 14 and all(v.srgb.shape == (3, 64, 64) and v.light[0] == -0.5 for v in large)
    assert [len(list(views(picture(256, 384), n))) for n in (1, 2, 3, 4)] == [1, 2, 4, 4]
    # The second window is the top left 0.8 of the sides.
    expected = cv2.resize(picture(256, 384).raw[1, :205, :307].numpy(), (64, 64))
    np.testing.assert_allclose(large[2].raw[1].numpy(), expected, atol=1e-6)
    assert large[2].valid.min() == 0 and large[2].valid.max() == 1 and (large[0].valid == 0).sum() < 64


def groups_of(seed: int = 0) -> tuple[References, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    owner = random.integers(0, 4, 60)
    features = random.standard_normal((60, 5)).astype(np.float32)
    values = random.uniform(0, 1, (60, 6)).astype(np.float32)
    groups = random.integers(0, 60, (12, 7))
    groups[3] = np.flatnonzero(owner == 2)[0]  # one file's alone
    return References(features, values, owner), groups, owner


def test_leaving_a_file_out_leaves_its_pixels_out():
    references, indices, owner = groups_of()
    keys, values = Groups.gather(references, indices, owner).means(2)
    expected_keys, expected_values = [], []
    for row in indices:
        others = row[owner[row] != 2]
        if len(others):
            mean = references.features[others].mean(0)
            expected_keys.append(mean / np.linalg.norm(mean))
            expected_values.append(references.values[others].mean(0))
    assert len(keys) == len(expected_keys) < 12
    np.testing.assert_allclose(keys, expected_keys, atol=1e-5)
    np.testing.assert_allclose(values, expected_values, atol=1e-6)
    whole, _ = Groups.gather(references, indices, owner).means()
    assert len(whole) == 12


def test_adapting_finds_lights_that_are_off():
    """Every light lies one spread above what the model says: the mean moves there, and the loss falls."""
    model = tiny.model()
    bank = tiny.bank()
    keys, values, camera = bank.tensors()
    pictures = list(tiny_pictures(12))
    files = join([look_up(model, p, keys, values, camera[0]) for p in pictures])
    with torch.no_grad():
        said, _ = model.light(files.thumbnail, files.maps, camera.expand(12, -1))
    target = said + camera[:, 11:]
    files = type(files)(files.thumbnail, files.maps, target, files.power, files.floor * 0)
    vector = adapt(model, camera[0], files)
    assert (vector[:9] == camera[0, :9]).all()

    def loss(v):
        with torch.no_grad():
            light, log_error = model.light(files.thumbnail, files.maps, v.expand(12, -1))
        return float(light_loss(light, log_error, files.light, files.power, files.floor))

    assert loss(vector) < loss(camera[0]) - 0.1, (loss(vector), loss(camera[0]))
    assert (adapt(model, camera[0], files) == vector).all() and STEPS > 0


def tiny_pictures(n: int):
    for i in range(n):
        torch.manual_seed(i)
        srgb = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8), (64, 64), mode="bilinear")[0]
        yield TrainingPicture(srgb, srgb * 0.5, torch.ones(1, 64, 64), srgb, torch.tensor([-0.6, -0.5]))


def test_parts_of_ones_own_overrule_the_shipped(tmp_path):
    assert Parts.choose(None, None, None).encoder == shipped_assets() / ENCODER
    chosen = Parts.choose(tmp_path / "e", tmp_path / "l", None)
    assert chosen.encoder == tmp_path / "e" and chosen.others[-1] == tmp_path / "l"


# --- camera files -----------------------------------------------------------------------------------------------


def test_real_files_of_two_cameras_are_told_apart(cli, data, tmp_path):
    folder = tmp_path / "raws"
    folder.mkdir()
    for name in ("canon-eos-30d.cr2", "nikon-d5000.dng"):
        (folder / name).symlink_to(data / "raws" / name)
    assert "is from nikon-d5000" in refused(cli, tmp_path, "--raws", folder)
