"""The fuzzer itself: it finds readers that crash, hang, grow or speak in tracebacks; and a few inputs for each of ours.

In processes of their own: the fuzzer forks, and limits of memory stay.
"""

import random
import subprocess
import sys

import pytest

from reliability import fuzz, mutate
from reliability.readers import READERS, Reader

FAULTS = {
    "a traceback": "raise KeyError('odd')",
    "two lines": "error = InputError('one'); error.args = ('one' + chr(10) + 'two',); raise error",
    "a crash": "os.kill(os.getpid(), 11)",
    "an exit": "os._exit(0)",
    "a hang": "\n        while True: pass",
    "memory": "x = bytearray(3 << 29)",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_bad_reader_does_is_a_failure(tmp_path, fault):
    code = f"""
import os
from pathlib import Path
from priorraw.errors import InputError
from reliability import fuzz, mutate
from reliability.readers import Reader

fuzz.SECONDS = 0.5
def make(folder):
    (folder / "a").write_bytes(b"sound")
    return {{"a": (lambda draw, data: b"bad" if draw.random() < 0.5 else b"sound",)}}
def read(folder, name):
    if (folder / name).read_bytes() == b"bad":
        {FAULTS[fault]}
tally = fuzz.fuzz(Reader("bad", make, read), 4, seed=3)
print(tally.tried, tally.read, tally.refused, len(tally.failed), tally.failed[:1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    tried, read, refused, failed = map(int, done.stdout.split()[:4])
    assert (tried, refused) == (4, 0) and failed >= 1 and read + failed == tried, done.stdout


def test_damage_follows_from_its_seed():
    data = bytes(range(256)) * 4
    one, two = ([mutate.damage_bytes(random.Random(i), data) for i in range(50)] for _ in range(2))
    assert one == two and len(set(one)) > 45 and data not in one


def test_readers_read_what_is_sound(tmp_path):
    reader: Reader = READERS["bundles"]
    (tmp_path / "sound").mkdir()
    for name in reader.make(tmp_path / "sound"):
        reader.read(tmp_path / "sound", name)
    assert fuzz.SECONDS == 5 and fuzz.MEMORY == 1 << 30
