"""The software ISP against analytic values, OpenCV, scikit-image and LibRaw."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from priorraw import cameras, isp

PATTERNS = ["RGGB", "BGGR", "GRBG", "GBRG"]
unit = st.floats(0, 1, width=32)


def random_picture(H: int = 9, W: int = 11, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((H, W, 3), np.float32)


# Black and white level


def test_levels_map_black_to_0_and_white_to_1_and_clip():
    counts = np.array([[100, 128, 2176, 4224, 5000]], np.uint16)
    assert isp.normalise_levels(counts, 128, 4224).tolist() == [[0, 0, 0.5, 1, 1]]


def test_black_level_may_differ_per_pixel():
    counts = np.array([[130, 120]], np.uint16)
    assert isp.normalise_levels(counts, np.array([[128, 118]]), 1128).tolist() == [
        [pytest.approx(2 / 1000), pytest.approx(2 / 1010)]
    ]


@given(st.integers(0, 4096), st.integers(1, 61_000), st.data())
def test_levels_round_trip(black, span, data):
    count = data.draw(st.integers(black, black + span))
    counts = np.array([[count]], np.uint16)
    assert isp.restore_levels(isp.normalise_levels(counts, black, black + span), black, black + span) == count


# Demosaic


@pytest.mark.parametrize("pattern", PATTERNS)
def test_mosaic_keeps_the_channel_that_the_pattern_names(pattern):
    picture = random_picture()
    cfa = isp.mosaic(picture, pattern)
    for y in range(9):
        for x in range(11):
            assert cfa[y, x] == picture[y, x, "RGB".index(pattern[2 * (y % 2) + x % 2])]


def test_demosaic_by_hand():
    cfa = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]], np.float32)
    rgb = isp.demosaic(cfa, "RGGB")
    # (1, 1) is blue: red is the mean of its diagonals 1 3 9 11, green of 2 5 7 10.
    assert rgb[1, 1].tolist() == [6, 6, 6]
    # (1, 2) is green in a blue row: red from above and below (3, 11), blue from left and right (6, 8).
    assert rgb[1, 2].tolist() == [7, 7, 7]
    # (0, 1) is green in a red row at the border: red from 1 and 3, blue from below alone.
    assert rgb[0, 1].tolist() == [2, 2, 6]
    # The corner (0, 0) is red: green from 2 and 5, blue from 6.
    assert rgb[0, 0].tolist() == [1, 3.5, 6]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_demosaic_keeps_what_was_measured_and_is_exact_on_constants(pattern):
    picture = random_picture()
    assert (
        isp.mosaic(isp.demosaic(isp.mosaic(picture, pattern), pattern), pattern) == isp.mosaic(picture, pattern)
    ).all()
    flat = np.broadcast_to(np.array([0.25, 0.5, 0.75], np.float32), (7, 8, 3))
    assert (isp.demosaic(isp.mosaic(flat, pattern), pattern) == flat).all()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_demosaic_is_exact_on_linear_ramps_inside(pattern):
    y, x = np.mgrid[:10, :12].astype(np.float32)
    ramp = np.stack([2 * x + y, 3 * y - x + 20, x + 4 * y + 5], -1)
    got = isp.demosaic(isp.mosaic(ramp, pattern), pattern)
    np.testing.assert_allclose(got[1:-1, 1:-1], ramp[1:-1, 1:-1], atol=1e-5)  # observed 0


@pytest.mark.parametrize("pattern", PATTERNS)
def test_demosaic_agrees_with_opencv_inside(pattern):
    import cv2

    cfa = np.random.default_rng(1).integers(0, 65536, (16, 18), np.uint16)
    theirs = cv2.cvtColor(cfa, getattr(cv2, f"COLOR_Bayer{pattern}2RGB"))
    ours = isp.demosaic(cfa.astype(np.float32), pattern)
    # OpenCV rounds to integers: observed 0.5.
    assert np.abs(ours - theirs)[1:-1, 1:-1].max() <= 0.5


@pytest.mark.parametrize("pattern", ["RGBG", "RRGB", "RGB", "GGRB", "XYZW"])
def test_no_bayer_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="no Bayer pattern"):
        isp.demosaic(np.zeros((4, 4), np.float32), pattern)


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2)])
def test_the_smallest_mosaics(shape):
    assert np.isfinite(isp.demosaic(np.ones(shape, np.float32), "GBRG")).all()


# White balance and colour


def test_gains_are_inverse_to_the_illuminant_and_at_least_1():
    assert isp.gains_from_illuminant(np.array([0.5, 1, 0.25])).tolist() == [2, 1, 4]
    batch = isp.gains_from_illuminant(np.array([[0.5, 1, 0.25], [2, 1, 1]]))
    assert batch.tolist() == [[2, 1, 4], [1, 2, 2]]


@given(st.tuples(unit, unit, unit), st.tuples(*[st.floats(0.125, 8, width=32)] * 3))
def test_white_balance_round_trip(pixel, gains):
    pixel, gains = np.array(pixel, np.float32), np.array(gains, np.float32)
    np.testing.assert_allclose(isp.unbalance(isp.white_balance(pixel, gains), gains), pixel, rtol=1e-6)


@pytest.mark.parametrize("camera", sorted(cameras.COLOR_MATRICES))
def test_neutral_stays_neutral_and_the_matrix_inverts(camera):
    matrix = isp.camera_from_srgb(cameras.color_matrix(camera))
    np.testing.assert_allclose(matrix @ [1, 1, 1], 1, atol=1e-12)
    there = isp.apply_matrix(random_picture().astype(np.float64), matrix)
    back = isp.apply_matrix(there, np.linalg.inv(matrix))
    np.testing.assert_allclose(back, random_picture(), atol=1e-12)  # observed 4e-16


def test_apply_matrix_multiplies_columns():
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 2]])
    assert isp.apply_matrix(np.array([[[1.0, 2.0, 3.0]]]), swap).tolist() == [[[2, 1, 6]]]


def test_srgb_primaries_agree_with_scikit_image():
    from skimage.color.colorconv import xyz_from_rgb

    np.testing.assert_allclose(isp.XYZ_FROM_SRGB, xyz_from_rgb, atol=1e-4)  # observed 7.7e-5: its D65 has other digits


# Tone and transfer


def test_tone_runs_from_0_to_1_and_lifts_mid_grey():
    assert isp.tone(np.array([0.0, 1.0])).tolist() == [0, 1]
    assert np.log2(isp.tone(np.array(0.18)) / 0.18) == pytest.approx(0.761, abs=1e-3)  # stops


@given(unit, unit)
def test_tone_is_monotone_and_inverts(a, b):
    low, high = sorted([a, b])
    assert isp.tone(np.float64(low)) <= isp.tone(np.float64(high))
    assert isp.inverse_tone(isp.tone(np.float64(a))) == pytest.approx(a, abs=1e-12)


def test_srgb_transfer_has_the_values_of_iec_61966():
    assert isp.srgb_encode(np.array([0.0, 0.0031308, 1.0])) == pytest.approx([0, 0.04045, 1], abs=1e-6)
    assert isp.srgb_decode(np.array([10, 128, 188]) / 255) == pytest.approx([0.0030353, 0.2158605, 0.5028865], abs=1e-6)


def test_srgb_transfer_agrees_with_scikit_image():
    from skimage.color import rgb2xyz
    from skimage.color.colorconv import rgb_from_xyz

    encoded = random_picture().astype(np.float64)
    theirs = rgb2xyz(encoded) @ rgb_from_xyz.T
    np.testing.assert_allclose(isp.srgb_decode(encoded), theirs, atol=1e-9)


@given(unit)
def test_srgb_transfer_round_trip(value):
    assert isp.srgb_decode(isp.srgb_encode(np.float64(value))) == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("bits", [8, 16])
def test_every_code_survives_a_round_trip(bits):
    codes = np.arange(2**bits, dtype=np.uint8 if bits == 8 else np.uint16)
    again = isp.quantise(isp.dequantise(codes), bits)
    assert again.dtype == codes.dtype
    assert (again == codes).all()


def test_quantise_rounds_to_nearest_and_clips():
    assert isp.quantise(np.array([-1, 0.4 / 255, 0.6 / 255, 2]), 8).tolist() == [0, 0, 1, 255]
    with pytest.raises(ValueError, match="8 or 16"):
        isp.quantise(np.zeros(1), 12)


# The whole


def test_grey_card_renders_to_the_analytic_value():
    illuminant = np.array([0.4, 1.0, 0.6])
    raw = np.broadcast_to((0.18 * illuminant).astype(np.float32), (2, 2, 3))
    srgb = isp.render(raw, isp.gains_from_illuminant(illuminant), cameras.color_matrix("olympus-e-pl6"))
    linear = 2 * 0.18 / 1.18
    np.testing.assert_allclose(srgb, 1.055 * linear ** (1 / 2.4) - 0.055, atol=1e-6)  # observed 1.2e-7


def test_saturated_sensor_renders_white_and_masked_black():
    gains, matrix = np.array([2, 1, 1.5], np.float32), cameras.color_matrix("sony-slt-a57")
    raw = np.array([[[1, 1, 1], [0, 0, 0]]], np.float32)
    np.testing.assert_allclose(isp.render(raw, gains, matrix), [[[1, 1, 1], [0, 0, 0]]], atol=1e-6)


@pytest.mark.parametrize("camera", sorted(cameras.COLOR_MATRICES))
def test_unrender_inverts_render_where_nothing_clips(camera):
    matrix = cameras.color_matrix(camera)
    illuminant = np.array([0.5, 1, 0.6])
    linear_srgb = random_picture(32, 32) * 0.8 + 0.1
    balanced = isp.apply_matrix(linear_srgb, isp.camera_from_srgb(matrix))
    raw = balanced / isp.gains_from_illuminant(illuminant)
    assert balanced.min() > 0 and balanced.max() < 1
    srgb = isp.render(raw, isp.gains_from_illuminant(illuminant), matrix)
    again = isp.unrender(srgb, isp.gains_from_illuminant(illuminant), matrix)
    np.testing.assert_allclose(again, raw, atol=1e-6)  # observed 4.2e-7
    codes = isp.dequantise(isp.quantise(srgb, 8))
    again = isp.unrender(codes, isp.gains_from_illuminant(illuminant), matrix)
    np.testing.assert_allclose(again, raw, atol=0.01)  # observed 0.006


@pytest.mark.parametrize("name", ["nikon-d5000.dng", "canon-eos-30d.cr2", "canon-eos-550d.dng"])
def test_render_agrees_with_libraw_on_a_real_file(data, name):
    """LibRaw's own pipeline with the same steps: levels, camera gains, bilinear demosaic, matrix, sRGB curve."""
    import rawpy
    from priorraw.raw_io import read_camera_file

    path = data / "raws" / name
    shot = read_camera_file(path)
    gains = isp.gains_from_illuminant(shot.illuminant)
    with rawpy.imread(str(path)) as file:
        theirs = file.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=(2.4, 12.92),
            output_bps=16,
            user_flip=0,
            demosaic_algorithm=rawpy.DemosaicAlgorithm.LINEAR,
        )
    ours = isp.render(shot.raw[600:1100, 400:1600], gains, shot.color_matrix, toned=False)
    difference = np.abs(ours - isp.dequantise(theirs[600:1100, 400:1600])) * 255
    # Observed over whole pictures: mean 0.014 (Nikon), 0.030 (30D), 0.025 (550D) of an 8-bit step.
    assert theirs.shape == shot.raw.shape
    assert difference.mean() < 0.06
    assert np.percentile(difference, 99) < 0.25
