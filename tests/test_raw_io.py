"""Camera files: small DNGs written here and opened by LibRaw, and real ones where they are at hand."""

import numpy as np
import pytest
from priorraw import isp
from priorraw.errors import InputError
from priorraw.raw_io import read_camera_file
from samples import D65_MATRIX, rationals, write_dng

TUNGSTEN_MATRIX = (8000, -2000, -900, -4400, 13000, 1500, -800, 2500, 5000)


@pytest.fixture
def cfa() -> np.ndarray:
    return np.random.default_rng(0).integers(300, 4000, (96, 128), np.uint16)


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_a_known_mosaic_comes_back(tmp_path, cfa, pattern):
    path = tmp_path / "a.dng"
    write_dng(path, cfa, pattern, black=256, white=4095)
    shot = read_camera_file(path)
    expected = isp.demosaic(np.clip((cfa - 256.0) / (4095 - 256), 0, 1).astype(np.float32), pattern)
    np.testing.assert_allclose(shot.raw, expected, atol=1e-6)  # observed 6e-8
    assert shot.raw.dtype == np.float32
    assert (shot.camera, shot.black, shot.white) == ("acme-testcam-1", [256.0] * 4, 4095.0)
    np.testing.assert_allclose(shot.illuminant, [0.5, 1, 0.6], rtol=1e-6)
    np.testing.assert_allclose(shot.color_matrix, np.reshape(D65_MATRIX, (3, 3)) / 10_000, atol=1e-6)


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_binned_a_block_becomes_a_pixel(tmp_path, cfa, pattern):
    path = tmp_path / "a.dng"
    write_dng(path, cfa[:-1], pattern, black=256, white=4095)  # an odd height: the last row is left out
    shot = read_camera_file(path, binned=True)
    level = np.clip((cfa[:94] - 256.0) / (4095 - 256), 0, 1)
    assert shot.raw.shape == (47, 64, 3) and shot.raw.dtype == np.float32
    for y, x in ((0, 0), (3, 5), (46, 63)):
        block = level[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel()
        expected = [np.mean([v for v, letter in zip(block, pattern, strict=True) if letter == c]) for c in "RGB"]
        np.testing.assert_allclose(shot.raw[y, x], expected, atol=1e-6)


@pytest.mark.parametrize("neutral", [(5000, 10_000, 6000), (10_000, 20_000, 12_000), (2500, 5000, 3000)])
def test_the_scale_of_as_shot_neutral_does_not_matter(tmp_path, cfa, neutral):
    write_dng(tmp_path / "a.dng", cfa, neutral=neutral)
    np.testing.assert_allclose(read_camera_file(tmp_path / "a.dng").illuminant, [0.5, 1, 0.6], rtol=1e-6)


@pytest.mark.parametrize("order", [(17, 21), (21, 17)])
def test_of_two_matrices_the_daylight_one_is_taken(tmp_path, cfa, order):
    both = {21: D65_MATRIX, 17: TUNGSTEN_MATRIX}
    write_dng(tmp_path / "a.dng", cfa, matrices={light: both[light] for light in order})
    matrix = read_camera_file(tmp_path / "a.dng").color_matrix
    np.testing.assert_allclose(matrix, np.reshape(D65_MATRIX, (3, 3)) / 10_000, atol=1e-6)


def test_a_given_matrix_stands_in_for_a_missing_one(tmp_path, cfa):
    write_dng(tmp_path / "a.dng", cfa, matrices={})
    with pytest.raises(InputError, match=r"a\.dng: no colour matrix is known for acme-testcam-1.*--color-matrix"):
        read_camera_file(tmp_path / "a.dng")
    assert (read_camera_file(tmp_path / "a.dng", np.eye(3)).color_matrix == np.eye(3)).all()


def test_no_white_balance_is_refused(tmp_path, cfa):
    write_dng(tmp_path / "a.dng", cfa, neutral=None)
    with pytest.raises(InputError, match="white balance"):
        read_camera_file(tmp_path / "a.dng")


def test_linear_dng_is_refused(tmp_path):
    import tifffile

    tags = [(50706, 1, 4, (1, 4, 0, 0), True), (50721, 10, 9, rationals(D65_MATRIX), True)]
    picture = np.zeros((64, 64, 3), np.uint16)
    tifffile.imwrite(tmp_path / "a.dng", picture, photometric=34892, extratags=tags, metadata=None)
    with pytest.raises(InputError, match="Bayer"):
        read_camera_file(tmp_path / "a.dng")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b"hello" * 100, "no camera file"), (b"II*\0\x08\0\0\0", "no camera file")],
)
def test_what_is_no_camera_file_is_named(tmp_path, content, reason, capfd):
    path = tmp_path / "a.cr2"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.cr2: .*{reason}"):
        read_camera_file(path)
    assert capfd.readouterr() == ("", "")


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_camera_file(tmp_path / "none.nef")
    with pytest.raises(InputError, match="is a directory"):
        read_camera_file(tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.99])
def test_a_cut_file_is_refused_and_libraw_stays_silent(tmp_path, cfa, share, capfd):
    path = tmp_path / "a.dng"
    write_dng(path, cfa)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"a\.dng: "):
        read_camera_file(path)
    assert capfd.readouterr() == ("", "")


def test_damaged_headers_never_end_in_anything_but_one_line(tmp_path, cfa):
    path = tmp_path / "a.dng"
    write_dng(path, cfa)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for at in rng.integers(0, 700, 4):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            shot = read_camera_file(path)
            assert np.isfinite(shot.raw).all()
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 20  # observed 62


# Real files


@pytest.mark.parametrize(
    ("name", "camera", "size", "white"),
    [
        ("nikon-d5000.dng", "nikon-d5000", (2868, 4310), 3840),
        ("canon-eos-30d.cr2", "canon-eos-30d", (2348, 3522), 4095),
        ("canon-eos-550d.dng", "canon-eos-550d", (1156, 1734), 15000),
    ],
)
def test_real_files(data, name, camera, size, white):
    shot = read_camera_file(data / "raws" / name)
    assert (shot.camera, shot.raw.shape[:2], shot.white) == (camera, size, white)
    assert shot.raw.min() >= 0 and shot.raw.max() <= 1
    # Under daylight every one of these sensors answers most strongly in green.
    assert shot.illuminant[1] == 1 and shot.illuminant.max() == 1


@pytest.mark.parametrize("name", ["nikon-d5000.dng", "canon-eos-550d.dng"])
def test_the_illuminant_is_the_dngs_as_shot_neutral(data, name):
    """The tag itself, read without LibRaw: one file scales it to red = 1, the other to green = 1."""
    import tifffile

    with tifffile.TiffFile(data / "raws" / name) as tiff:
        neutral = np.reshape(tiff.pages[0].tags[50728].value, (3, 2))
    neutral = neutral[:, 0] / neutral[:, 1]
    np.testing.assert_allclose(read_camera_file(data / "raws" / name).illuminant, neutral / neutral[1], rtol=1e-6)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("name", ["nikon-d5000.dng", "canon-eos-30d.cr2"])
def test_real_files_cut_short(data, tmp_path, name, share, capfd):
    whole = (data / "raws" / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="is cut short"):
        read_camera_file(path)
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_is_no_camera_file(data, capfd):
    with pytest.raises(InputError, match=r"canon-powershot-g10\.jpg: .*no camera file"):
        read_camera_file(data / "raws" / "canon-powershot-g10.jpg")
    assert capfd.readouterr() == ("", "")
