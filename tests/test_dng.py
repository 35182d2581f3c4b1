"""Linear DNG, read back by LibRaw and tifffile: exact values, right colours, refusals."""

import numpy as np
import pytest
import rawpy
import skimage.data
import tifffile
from priorraw import isp
from priorraw.cameras import COLOR_MATRICES, color_matrix
from priorraw.errors import InputError
from priorraw_edge.runtime.dng import check_dng, write_dng

PHOTO = skimage.data.coffee()  # (400, 600, 3) uint8
NEUTRAL = np.array([0.49, 1.0, 0.63])


def raw_of(camera: str) -> np.ndarray:
    """The photograph as that camera's float raw-RGB."""
    return isp.unrender(isp.dequantise(PHOTO), isp.gains_from_illuminant(NEUTRAL), color_matrix(camera))


def develop(path, **options) -> np.ndarray:
    """LibRaw's rendering with nothing of its own taste: 8-bit sRGB."""
    with rawpy.imread(str(path)) as file:
        # adjust_maximum_thr: LibRaw would stretch the brightest pixel to white otherwise.
        return file.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            gamma=(2.4, 12.92),
            output_color=rawpy.ColorSpace.sRGB,
            adjust_maximum_thr=0,
            user_flip=0,
            **options,
        )


@pytest.mark.parametrize("size", [(22, 22), (22, 300), (300, 22), (40, 255), (255, 256), (257, 600), (513, 257)])
def test_values_survive_in_libraw_and_tifffile(tmp_path, size):
    """Sizes around a tile: LibRaw garbles JPEG tiles wider than the picture, so those must not be written."""
    raw = np.random.default_rng(0).integers(0, 65536, (*size, 3), dtype=np.uint16)
    path = tmp_path / "a.dng"
    write_dng(path, raw, color_matrix("sony-imx135"), NEUTRAL, "sony-imx135")
    with rawpy.imread(str(path)) as file:
        assert (file.raw_image_visible[..., :3] == raw).all()
    with tifffile.TiffFile(path) as file:
        assert (file.pages[0].pages[0].asarray() == raw).all()


def test_tags_and_levels(tmp_path):
    path = tmp_path / "a.dng"
    write_dng(path, isp.quantise(raw_of("sony-imx135"), 16), color_matrix("sony-imx135"), NEUTRAL, "sony-imx135")
    info = check_dng(path)
    assert (info.height, info.width) == PHOTO.shape[:2]
    assert (info.black_level, info.white_level) == (0, 65535)
    assert np.abs(info.neutral - NEUTRAL).max() < 1e-6  # seen: 1e-8
    with tifffile.TiffFile(path) as file:
        first, main = file.pages[0], file.pages[0].pages[0]
        tags = {tag.code: tag.value for tag in first.tags}
        picture = {tag.code: tag.value for tag in main.tags}
    assert (first.shape, tags[254]) == ((400, 600, 3), 1)  # the preview, reduced resolution by name
    assert (main.shape, picture[254], picture[262]) == ((400, 600, 3), 0, 34892)
    assert picture[50717] == (65535,) * 3
    assert tags[50706] == bytes([1, 4, 0, 0])
    assert tags[274] == 1
    assert tags[50778] == 21
    assert tags[50721][::2] == COLOR_MATRICES["sony-imx135"]
    assert 306 not in tags  # DateTime: same picture, same bytes


@pytest.mark.parametrize("camera", sorted(COLOR_MATRICES))
def test_libraw_renders_our_colours(tmp_path, camera):
    raw = raw_of(camera)
    write_dng(tmp_path / "a.dng", isp.quantise(raw, 16), color_matrix(camera), NEUTRAL, camera)
    ours = isp.render(raw, isp.gains_from_illuminant(NEUTRAL), color_matrix(camera), toned=False) * 255
    difference = np.abs(develop(tmp_path / "a.dng").astype(float) - ours).mean()
    assert difference < 1  # seen: 0.38, since LibRaw cuts where we round


def test_neutral_stays_neutral(tmp_path):
    ramp = np.linspace(0.02, 0.95, 300)[None, :, None] * NEUTRAL
    raw = np.repeat(isp.quantise(ramp.astype(np.float32), 16), 300, axis=0)
    write_dng(tmp_path / "a.dng", raw, color_matrix("sony-slt-a57"), NEUTRAL, "sony-slt-a57")
    grey = develop(tmp_path / "a.dng").astype(int)
    assert (grey.max(-1) - grey.min(-1)).max() <= 1  # seen: 1


def test_same_picture_same_bytes(tmp_path):
    raw = isp.quantise(raw_of("sony-imx135"), 16)
    for name in ("a.dng", "b.dng"):
        write_dng(tmp_path / name, raw, color_matrix("sony-imx135"), NEUTRAL, "sony-imx135")
    assert (tmp_path / "a.dng").read_bytes() == (tmp_path / "b.dng").read_bytes()
    assert (tmp_path / "a.dng").stat().st_size < 0.83 * raw.nbytes  # seen: 0.81, 0.03 of it the preview


def test_too_small_for_raw_readers_is_refused(tmp_path):
    with pytest.raises(InputError, match="too small for a DNG"):
        write_dng(tmp_path / "a.dng", np.ones((21, 400, 3), np.uint16), np.eye(3), NEUTRAL, "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("neutral", [(0, 1, 1), (0.5, 1.1, 1), (np.nan, 1, 1)])
def test_an_impossible_neutral_is_refused(tmp_path, neutral):
    with pytest.raises(ValueError, match="AsShotNeutral"):
        write_dng(tmp_path / "a.dng", np.ones((64, 64, 3), np.uint16), np.eye(3), np.array(neutral), "x")
    assert list(tmp_path.iterdir()) == []


def test_check_refuses_what_libraw_does_not_open(tmp_path):
    (tmp_path / "a.dng").write_text("nothing")
    with pytest.raises(InputError, match="LibRaw does not open it"):
        check_dng(tmp_path / "a.dng")
    with pytest.raises(InputError, match="not found"):
        check_dng(tmp_path / "b.dng")
