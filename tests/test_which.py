"""Whose RAW is rebuilt: EXIF against the banks, the reason, and what is said against trusting it."""

import json
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from priorraw.assets import load_assets, shipped_assets
from priorraw.bank import Bank
from priorraw.cameras import camera_id
from priorraw_edge.export.programs import bank_tensors
from priorraw_edge.runtime import engine as engines
from priorraw_edge.runtime.engine import BundleEngine, EagerEngine, known_cameras, open_engine
from priorraw_edge.runtime.exif import Facts
from priorraw_edge.runtime.which import choose_camera
from test_hint import exif, pentax
from test_reconstruct import PHOTO, ClosedForm

KNOWN = ["olympus-e-pl6", "samsung-nx2000", "sony-imx135", "sony-slt-a57", "canon-eos-550d"]


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("SAMSUNG", "NX2000", "samsung-nx2000"),
        ("OLYMPUS IMAGING CORP.  ", "E-PL6", "olympus-e-pl6"),
        ("SONY", "SLT-A57", "sony-slt-a57"),
        ("Canon", "Canon EOS 550D", "canon-eos-550d"),
        ("Canon", "Canon EOS REBEL T2i", "canon-eos-550d"),
        ("NIKON CORPORATION", "NIKON D5000", "nikon-d5000"),
        ("", "X", "x"),
    ],
)
def test_names_in_exif_are_names_of_banks(make, model, camera):
    assert camera_id(make, model) == camera


def test_exif_chooses_among_the_banks():
    choice = choose_camera(Facts(make="SAMSUNG", model="NX2000", maker_note=True), KNOWN, "sony-imx135")
    assert (choice.camera, choice.reason, choice.notes) == ("samsung-nx2000", "EXIF names SAMSUNG NX2000", ())


def test_an_unknown_camera_is_the_default_and_said():
    choice = choose_camera(Facts(make="Acme", model="Z 1", maker_note=True), KNOWN, "sony-imx135")
    assert (choice.camera, choice.reason) == ("sony-imx135", "the default: no bank of Acme Z 1")
    assert len(choice.notes) == 1 and "no known camera (Acme Z 1)" in choice.notes[0]
    assert choose_camera(Facts(), KNOWN, "sony-imx135").notes == ()


def test_what_is_asked_for_wins_and_a_contradiction_is_said():
    nx2000 = Facts(make="SAMSUNG", model="NX2000", maker_note=True)
    assert choose_camera(nx2000, KNOWN, "sony-imx135", "samsung-nx2000").notes == ()
    other = choose_camera(nx2000, KNOWN, "sony-imx135", "sony-slt-a57")
    assert other.camera == "sony-slt-a57" and "comes from another camera (SAMSUNG NX2000)" in other.notes[0]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (Facts(software="Adobe Photoshop 22.0 (Windows)"), "was edited (Adobe Photoshop 22.0 (Windows))"),
        (Facts(software="Ver.1.00", creator_tool="darktable 4.2.1"), "was edited (darktable 4.2.1)"),
        (Facts(software="GIMP 2.10"), "was edited (GIMP 2.10)"),
        (Facts(history=True), "its XMP lists edits"),
        (Facts(make="SONY", model="SLT-A57"), "lacks the maker's notes"),
        (Facts(make="SONY", model="SLT-A57", software="SLT-A57 v1.04", maker_note=True), None),
        (Facts(make="NIKON CORPORATION", model="NIKON D5000", software="Version1.01 ", maker_note=True), None),
    ],
)
def test_edited_pictures_are_told(facts, said):
    notes = choose_camera(facts, [*KNOWN, "nikon-d5000"], "sony-imx135").notes
    assert [note for note in notes if said is not None and said in note] if said else notes == ()


# --- the command ----------------------------------------------------------------------------------------------


class Of(ClosedForm):
    def __init__(self, camera):
        self.camera = camera


@pytest.fixture
def opened(monkeypatch) -> list:
    """The cameras whose models were loaded."""
    loaded = []

    def open_one(camera, **options):
        loaded.append(camera)
        return Of(camera or "sony-imx135")

    monkeypatch.setattr(engines, "open_engine", open_one)
    return loaded


def test_each_photo_has_its_camera_and_each_model_is_loaded_once(cli, tmp_path, opened):
    for name, make, model in (("a", "SAMSUNG", "NX2000"), ("b", "Acme", "1"), ("c", "SAMSUNG", "NX2000")):
        Image.fromarray(PHOTO).save(tmp_path / f"{name}.jpg", exif=b"Exif\0\0" + exif("<", make, model, pentax))
    photos = [tmp_path / f"{name}.jpg" for name in "abc"]
    code, printed, said = cli("reconstruct", *photos, "-o", tmp_path / "out", "--json")
    assert code == 0, said
    first, second, third = json.loads(printed)
    assert [f["camera"] for f in (first, second, third)] == ["samsung-nx2000", "sony-imx135", "samsung-nx2000"]
    assert first["camera_reason"] == third["camera_reason"] == "EXIF names SAMSUNG NX2000"
    assert first["notes"] == [] and "b.jpg: comes from no known camera (Acme 1)" in said
    assert opened == [None, "samsung-nx2000"]
    with tifffile.TiffFile(tmp_path / "out" / "a.dng") as file:
        assert file.pages[0].tags["Model"].value == "samsung-nx2000"


def test_the_reason_is_printed(cli, tmp_path, opened):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    _, printed, _ = cli("reconstruct", tmp_path / "a.png", "-o", tmp_path / "a.npy")
    assert "sony-imx135 (the default: the photo names no camera), mean" in printed
    _, printed, _ = cli("reconstruct", tmp_path / "a.png", "-o", tmp_path / "a.npy", "--camera", "sony-slt-a57")
    assert "sony-slt-a57 (as asked for), mean" in printed


def test_lightroom_and_a_wide_profile_are_told(cli, tmp_path, opened):
    xmp = b'<x:xmpmeta><rdf:Description xmp:CreatorTool="Adobe Lightroom 6.0 (Macintosh)"/></x:xmpmeta>'
    adobe, srgb = (imagecodecs.cms_profile(name) for name in ("adobergb", "srgb"))
    Image.fromarray(PHOTO).save(tmp_path / "a.jpg", icc_profile=adobe, xmp=xmp)
    Image.fromarray(PHOTO).save(tmp_path / "b.jpg", icc_profile=srgb)
    code, printed, said = cli("reconstruct", tmp_path / "a.jpg", tmp_path / "b.jpg", "-o", tmp_path / "out", "--json")
    assert code == 0, said
    wide, plain = json.loads(printed)
    assert "wider than: colours outside are cut" in wide["notes"][0]
    assert "was edited (Adobe Lightroom 6.0 (Macintosh))" in wide["notes"][1]
    assert plain["notes"] == []


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--bank", "x", "--camera", "sony-imx135"], "--bank and --camera exclude each other"),
        (["--cfa", "RGGB", "--format", "tiff"], "--cfa makes a DNG, not tiff"),
        (["--cfa", "RGBG"], "'RGBG' is not one of"),
        (["--bank", "{tmp}/none"], "not found; build one"),
    ],
)
def test_calls_that_contradict_themselves(cli, tmp_path, args, line):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    code, _, said = cli(
        "reconstruct", tmp_path / "a.png", "-o", tmp_path / "out", *(a.format(tmp=tmp_path) for a in args)
    )
    assert code == 2 and line in said and len(said.splitlines()) == 1


# --- a bank of one's own --------------------------------------------------------------------------------------


def own_bank(path, **changes):
    """The NX2000's bank under another name."""
    bank = load_assets("samsung-nx2000").bank
    K = changes.pop("K", bank.info.K)
    info = replace(bank.info, camera="acme-1", K=K, **changes)
    Bank(bank.keys[:K], bank.raw[:K], bank.srgb[:K], info).save(path)
    return path


def test_a_bank_of_ones_own_in_pytorch(tmp_path):
    engine = open_engine(bank=own_bank(tmp_path / "bank.safetensors"))
    theirs = EagerEngine(load_assets("samsung-nx2000"))
    thumbnail = np.random.default_rng(0).random((64, 64, 3), np.float32)
    assert engine.camera == "acme-1"
    assert (engine.color_matrix == theirs.color_matrix).all()
    assert (engine.scene(thumbnail) == theirs.scene(thumbnail)).all()
    assert (engine.scene(thumbnail) != EagerEngine(load_assets("sony-slt-a57")).scene(thumbnail)).any()


def test_a_bank_of_another_encoder_is_refused(cli, tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    bank = own_bank(tmp_path / "bank.safetensors", encoder_sha256="0" * 64)
    code, _, said = cli("reconstruct", tmp_path / "a.png", "-o", tmp_path / "a.dng", "--bank", bank)
    assert code == 2
    assert (
        said
        == f"priorraw-edge: {bank}: was built with another encoder than this model's; build it again with this one\n"
    )


def bundle_engine(prior) -> BundleEngine:
    """A bundle's engine without its programs: what `use_bank` looks at."""
    engine = BundleEngine.__new__(BundleEngine)
    engine.folder = shipped_assets()
    engine.manifest = {"encoder_sha256": prior.encoder_sha256}
    shapes = {name: tuple(tensor.shape) for name, tensor in bank_tensors(prior.bank).items()}
    engine._inputs = {"scene": [("thumbnail", (1, 3, 64, 64)), *shapes.items()]}
    return engine


def test_a_bank_of_ones_own_in_a_bundle(tmp_path):
    prior = load_assets("sony-slt-a57")
    engine = bundle_engine(prior)
    engine.use_bank(own_bank(tmp_path / "bank.safetensors"))
    assert engine.camera == "acme-1"
    expected = bank_tensors(load_assets("samsung-nx2000").bank)
    assert engine._bank.keys() == expected.keys()
    assert all((engine._bank[name] == expected[name].numpy()).all() for name in expected)
    with pytest.raises(Exception, match=r"has 100 entries, .* takes 5000; build it with --entries 5000"):
        engine.use_bank(own_bank(tmp_path / "small.safetensors", K=100))
    with pytest.raises(Exception, match="another encoder"):
        engine.use_bank(own_bank(tmp_path / "other.safetensors", encoder_sha256="0" * 64))


def test_the_cameras_that_are_known():
    assert known_cameras() == ["olympus-e-pl6", "samsung-nx2000", "sony-imx135", "sony-slt-a57"]
