"""What the sRGB goes through, against `prepare` and Pillow."""

import cv2
import numpy as np
import pytest
import tiny
from PIL import Image
from priorraw import isp
from priorraw.dataset import PairDataset, write_png
from priorraw.errors import InputError
from priorraw.prepare import prepare
from priorraw.srgb_input import SrgbInput, through_jpeg
from samples import write_pack


@pytest.fixture
def both(tmp_path) -> list[PairDataset]:
    """The same scenes prepared in 8 and in 16 bits."""
    pack = write_pack(tmp_path / "pack.npz", *tiny.unclipped_scenes(2))
    for bits in (8, 16):
        prepare([pack], tmp_path / str(bits), {"test": 1.0}, camera=tiny.CAMERA, srgb_bits=bits)
    return [PairDataset.open(tmp_path / str(bits), "test") for bits in (8, 16)]


def test_16_bits_are_what_prepare_makes(both):
    eight, sixteen = both
    for i in range(2):
        raw, srgb, seen = SrgbInput(bits=16).pair(eight, i)
        assert np.array_equal(seen, sixteen.pair(i)[1]) and srgb is seen
        assert np.array_equal(raw, eight.pair(i)[0])
        assert np.array_equal(SrgbInput(bits=16).pair(sixteen, i)[2], seen)
        assert np.array_equal(SrgbInput(bits=8).pair(sixteen, i)[2], isp.dequantise(isp.quantise(seen, 8)))
        for stored in (SrgbInput(), SrgbInput(bits=8)):
            assert np.array_equal(stored.pair(eight, i)[2], eight.pair(i)[1])


def test_a_picture_that_was_not_rendered_so_has_no_16_bits(both):
    path = both[0].folder / "test" / "srgb" / f"{both[0].names[1]}.png"
    picture = cv2.imread(str(path))[..., ::-1].copy()
    picture[20:24, 20:24] += 2
    write_png(path, picture)
    SrgbInput(bits=16).pair(both[0], 0)
    with pytest.raises(InputError, match=f"picture {both[0].names[1]} is not what rendering its raw-RGB gives"):
        SrgbInput(bits=16).pair(both[0], 1)


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_the_jpeg_is_pillows(both, tmp_path, subsampling):
    _, srgb, seen = SrgbInput(jpeg=90, subsampling=subsampling).pair(both[0], 0)
    picture = Image.open(both[0].folder / "test" / "srgb" / f"{both[0].names[0]}.png")
    picture.save(tmp_path / "a.jpg", quality=90, subsampling=subsampling)
    decoded = cv2.imread(str(tmp_path / "a.jpg"))[..., ::-1]
    assert np.abs(seen - decoded / 255).max() < 1.5 / 255  # OpenCV's libjpeg; seen: 0
    assert np.array_equal(srgb, both[0].pair(0)[1])


def test_chroma_is_halved_in_420_only():
    """Red and green columns by turns: 4:4:4 keeps them, 4:2:0 blends each pair."""
    stripes = np.zeros((32, 32, 3), np.float32)
    stripes[:, ::2, 0] = stripes[:, 1::2, 1] = 0.8
    full, half = (through_jpeg(stripes, 95, subsampling) for subsampling in ("4:4:4", "4:2:0"))
    assert np.abs(full - stripes).mean() < 0.05  # seen: 0.001
    assert np.abs(half - stripes).mean() > 0.1  # seen: 0.29
