"""Bit depths: codes and intervals by hand, datasets and sources against Pillow and OpenCV."""

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from photos import PHOTO, saved
from PIL import Image
from priorraw.bit_depth import Depths
from priorraw.depth_dataset import DepthDataset
from priorraw.errors import InputError
from priorraw_edge.runtime.deep import low_codes, picture_codes
from priorraw_edge.runtime.writers import PngRows

DEPTHS = [(3, 8), (4, 8), (5, 8), (6, 8), (8, 10), (8, 12), (8, 16)]


def test_four_to_eight_bits_by_hand():
    depths = Depths(4, 8)
    high = np.array([0, 15, 16, 137, 240, 255], np.uint8)
    low = depths.lower(high)
    assert low.tolist() == [0, 0, 1, 8, 15, 15]
    assert depths.zero_padded(low.astype(np.uint8)).tolist() == [0, 0, 16, 128, 240, 240]
    assert depths.unit(low)[[0, 3, 5]].tolist() == pytest.approx([0, 8 / 15, 1])
    assert depths.half_interval == 7.5 / 255


@pytest.mark.parametrize("bits", DEPTHS)
def test_every_code_lies_in_its_interval(bits):
    depths = Depths(*bits)
    high = np.arange(depths.top + 1, dtype=np.uint16)
    low = depths.lower(high)
    middle = depths.unit(low).astype(np.float64) * (1 - 2 * depths.half_interval) + depths.half_interval
    assert np.abs(high / depths.top - middle).max() <= depths.half_interval + 1e-6
    assert (depths.low_codes(depths.unit(low)) == low).all()
    assert (depths.high_codes(depths.high_unit(high)) == high).all()


@given(low=st.integers(1, 15), high=st.integers(2, 16))
def test_only_more_bits_are_recovered(low, high):
    if low < high:
        assert Depths(low, high).lost == high - low
    else:
        with pytest.raises(InputError, match="need 1 <= low < high"):
            Depths(low, high)


@pytest.mark.parametrize("low", [3, 4, 5, 6])
def test_padded_or_stretched_files_hold_the_same_low_codes(low):
    """Zero-padded, times 17 (rounded) or replicated; in 8 bits and in 16."""
    depths = Depths(low, 8)
    codes = np.arange(1 << low)
    eight = codes << (8 - low)
    for written in (eight, np.rint(codes * 255 / ((1 << low) - 1)).astype(int)):
        assert (low_codes(written.astype(np.uint8), depths) == codes).all()
    assert (low_codes((eight << 8).astype(np.uint16), depths) == codes).all()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    saved(folder / "coffee.png", PHOTO)
    deep = PHOTO.astype(np.uint16) * 257 - PHOTO  # uses the low byte
    cv2.imwrite(str(folder / "deep.png"), deep[..., ::-1])
    cv2.imwrite(str(folder / "light.hdr"), np.ascontiguousarray((PHOTO.astype(np.float32) / 200) ** 2.2 * 5)[..., ::-1])
    return folder


@pytest.mark.parametrize("bits", [(4, 8), (6, 8), (3, 8), (5, 8)])
def test_prepare_cuts_the_last_bits(bits, pictures, cli, tmp_path):
    out = tmp_path / "set"
    arguments = ("prepare", "--task", "bit-depth", "--bits", bits[0], pictures, "-o", out, "--split", "train")
    assert cli(*arguments)[0] == 0
    dataset = DepthDataset.open(out, "train")
    assert dataset.names == ["coffee", "deep", "light"] and dataset.depths == Depths(*bits)
    assert (dataset.high(0) == PHOTO).all()
    assert (dataset.high(1) == (PHOTO.astype(int) * 257 - PHOTO) >> 8).all()
    for name in dataset.names:
        high, low = (np.asarray(Image.open(out / "train" / kind / f"{name}.png")) for kind in ("high", "low"))
        assert (low == high.astype(int) >> (8 - bits[0]) << (8 - bits[0])).all()


def test_prepare_ten_bits_takes_sixteen_bit_sources_only(pictures, cli, tmp_path):
    arguments = (
        "prepare",
        "--task",
        "bit-depth",
        "--bits",
        8,
        "--high-bits",
        10,
        "-o",
        tmp_path / "set",
        "--split",
        "a",
    )
    code, _, err = cli(*arguments, pictures)
    assert code == 2 and "coffee.png: has 8 bits, 10 are needed" in err
    assert not (tmp_path / "set").exists()
    assert cli(*arguments, pictures, "--skip-bad")[0] == 0
    dataset = DepthDataset.open(tmp_path / "set", "a")
    assert dataset.names == ["deep", "light"]
    assert (dataset.high(0) == (PHOTO.astype(int) * 257 - PHOTO) >> 6).all()


def test_shrink_takes_means(pictures, cli, tmp_path):
    out = tmp_path / "set"
    arguments = (
        "prepare",
        "--task",
        "bit-depth",
        "--bits",
        8,
        "--high-bits",
        16,
        "--shrink",
        2,
        "--split",
        "a",
        "-o",
        out,
    )
    assert cli(*arguments, pictures / "coffee.png")[0] == 0
    expected = cv2.resize(PHOTO.astype(np.float64) * 257, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert np.abs(DepthDataset.open(out, "a").high(0) - expected).max() <= 0.5


def test_options_of_the_other_task_are_refused(pictures, cli, tmp_path):
    for arguments, named in (
        (("prepare", pictures, "-o", tmp_path / "x", "--bits", 4), "--bits is for --task bit-depth"),
        (
            ("prepare", pictures, "-o", tmp_path / "x", "--task", "bit-depth", "--camera", "a"),
            "--camera is for --task raw",
        ),
        (("evaluate", pictures, "--task", "bit-depth", "--jpeg", 90), "--jpeg is for --task raw"),
        (("evaluate", pictures, "--bits", 4), "--bits 4"),
    ):
        code, _, err = cli(*arguments)
        assert code == 2 and named in err


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (3, np.uint16)])
def test_png_rows_are_read_back(channels, dtype, tmp_path):
    picture = skimage.data.astronaut()[:90, :70].astype(dtype) * (257 if dtype == np.uint16 else 1)
    picture = picture if channels == 3 else picture[..., 0]
    with (tmp_path / "a.png").open("wb") as file:
        png = PngRows(file, 90, 70, channels, np.dtype(dtype).itemsize * 8)
        for y in range(0, 90, 32):
            png.write(picture[y : y + 32])
        png.close()
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert ((read if channels == 1 else read[..., ::-1]) == picture).all()
    if channels == 3:
        assert (picture_codes(tmp_path / "a.png") == picture).all()
