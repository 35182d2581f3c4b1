"""The decoder's process: windows of a spool, limits, crashes, and that nothing stays behind."""

import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from photos import PHOTO, saved
from PIL import Image
from priorraw.errors import InputError
from priorraw_edge.runtime import spool as spools
from priorraw_edge.runtime.picture import read_picture, to_unit
from priorraw_edge.runtime.spool import Spool


@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_of_a_turned_photo(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = saved(tmp_path / "a.png", PHOTO, exif=exif)
    srgb = read_picture(photo).srgb
    H, W = srgb.shape[:2]
    random = np.random.default_rng(orientation)
    with Spool(photo, tmp_path) as spool:
        source = spool.wait().source
        assert (source.height, source.width) == (H, W)
        for _ in range(20):
            top, bottom = sorted(random.choice(H + 1, 2, replace=False))
            left, right = sorted(random.choice(W + 1, 2, replace=False))
            window = source.window(top, bottom, left, right)
            assert window.dtype == np.uint8
            assert np.array_equal(to_unit(window), srgb[top:bottom, left:right])
        assert np.array_equal(to_unit(source.window(0, H, 0, W)), srgb)
        rows, columns = random.choice(H, 9), random.choice(W, 5)
        assert np.array_equal(source.crossings(list(rows), list(columns)), srgb[np.ix_(rows, columns)])


def test_a_bad_photo_is_one_line(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    with Spool(tmp_path / "a.jpg", tmp_path) as spool, pytest.raises(InputError, match=r"a\.jpg: truncated or damaged"):
        spool.wait()


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("kill -SEGV $$", r"its decoder crashed \(SIGSEGV\)"),
        ("kill -XCPU $$", "its decoder ran too long"),
        ("kill -KILL $$", "stopped from outside"),
        ("echo first >&2; echo last words >&2; exit 1", r"its decoder failed \(last words\)"),
    ],
)
def test_a_decoder_that_dies_is_one_line(tmp_path, monkeypatch, script, line):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(spools.sys, "executable", str(program))
    with Spool(saved(tmp_path / "a.png", PHOTO), tmp_path) as spool, pytest.raises(InputError, match=line) as error:
        spool.wait()
    assert str(error.value).startswith(f"{tmp_path / 'a.png'}: ") and "\n" not in str(error.value)


def test_a_limit_on_the_decoders_memory(tmp_path):
    """A JPEG of 36 megapixels takes Pillow 144 MB."""
    photo = saved(tmp_path / "a.jpg", np.zeros((6000, 6000, 3), np.uint8))
    with Spool(photo, tmp_path, megabytes=100) as spool, pytest.raises(InputError, match="more than 100 MB"):
        spool.wait()
    with Spool(photo, tmp_path, megabytes=400) as spool:
        assert spool.wait().source.width == 6000


def test_a_full_disk_is_one_line(tmp_path):
    """A limit on the size of files stands for the disk."""
    photo = saved(tmp_path / "a.png", PHOTO)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        spool = Spool(photo, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with spool, pytest.raises(InputError, match=r"a\.png: no room for its 0 MB of pixels .*; make room"):
        spool.wait()


def test_nothing_stays_behind_a_run_that_is_killed(tmp_path):
    photo = saved(tmp_path / "a.png", PHOTO)
    out = tmp_path / "out"
    out.mkdir()
    code = (
        "import pathlib, time; from priorraw_edge.runtime.spool import Spool\n"
        f"with Spool(pathlib.Path({str(photo)!r}), pathlib.Path({str(out)!r})) as spool:\n"
        "    spool.wait(); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        os.kill(process.pid, signal.SIGKILL)
    assert list(out.iterdir()) == []


def test_leaving_early_stops_the_decoder(tmp_path):
    photo = saved(tmp_path / "a.jpg", np.zeros((6000, 6000, 3), np.uint8))
    start = time.monotonic()
    with Spool(photo, tmp_path) as spool:
        process = spool._process
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - start < 5


def test_the_decoder_imports_no_torch():
    code = "import sys, priorraw_edge.runtime.decoder, priorraw_edge.runtime.spool; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_a_module_in_the_working_folder_is_not_taken_for_ours(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit(7)")
    photo = saved(tmp_path / "a.png", PHOTO)
    monkeypatch.chdir(tmp_path)
    with Spool(photo, tmp_path) as spool:
        assert spool.wait().source.width == PHOTO.shape[1]
