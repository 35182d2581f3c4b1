"""LibRaw in a process of its own: the same mosaic, and its end is one line."""

import subprocess
import sys

import numpy as np
import pytest
from priorraw import raw_decoder
from priorraw.errors import InputError
from priorraw.raw_io import read_camera_file
from samples import write_dng


@pytest.fixture
def shot(tmp_path):
    cfa = np.random.default_rng(0).integers(300, 60_000, (48, 64)).astype(np.uint16)
    write_dng(tmp_path / "a.dng", cfa, black=256, white=65000)
    return tmp_path / "a.dng"


def test_what_comes_from_the_process_is_what_libraw_gives_here(shot):
    here, apart = raw_decoder.mosaic(shot), raw_decoder.mosaic_apart(shot)
    for name in ("counts", "colors", "gains", "xyz_to_camera", "black"):
        np.testing.assert_array_equal(getattr(here, name), getattr(apart, name))
    assert (here.pattern, here.white) == (apart.pattern, apart.white) == ("RGGB", 65000)
    assert raw_decoder.preview_apart(shot) == raw_decoder.preview(shot) == b""


@pytest.mark.parametrize(
    ("ends", "line"),
    [
        ("os.kill(os.getpid(), 11)", "its decoder crashed (SIGSEGV)"),
        ("os.kill(os.getpid(), 24)", "its decoder ran too long"),
        ("os.kill(os.getpid(), 9)", "stopped from outside or ran too long"),
        ("raise RuntimeError('odd')", "its decoder failed (RuntimeError: odd)"),
    ],
)
def test_a_decoder_that_dies_is_one_line(shot, monkeypatch, ends, line):
    run = subprocess.run

    def die(command, **options):
        return run([sys.executable, "-c", f"import os\n{ends}"], **options)

    monkeypatch.setattr(raw_decoder.subprocess, "run", die)
    with pytest.raises(InputError) as refused:
        read_camera_file(shot)
    assert line in str(refused.value) and str(refused.value).startswith(f"{shot}: ")


def test_memory_is_limited(shot, monkeypatch, tmp_path):
    """In a process of its own, since limits stay."""
    code = (
        "import sys, os; from pathlib import Path; from priorraw import raw_decoder\n"
        "raw_decoder.MEGABYTES = 300; raw_decoder.mosaic = lambda path: bytearray(1 << 30)\n"
        f"print(raw_decoder.main(Path({str(shot)!r}), 1, 'mosaic'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "decoding it takes more than 300 MB" in done.stdout
