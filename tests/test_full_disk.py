"""A disk that is full, or that nobody may write to: one line, exit code 2, nothing half-written; then it works.

The disk is a tmpfs of few kilobytes, which only root can mount; elsewhere these tests skip.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from PIL import Image
from priorraw.files import UNFINISHED, sha256
from samples import scenes, write_pack
from skimage.data import coffee


class Disk:
    """A small file system of its own."""

    def __init__(self, place: Path):
        self.place = place

    def mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")

    def again(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.place)], check=True)

    def visible(self) -> list[str]:
        """Files below the disk that are not marked as unfinished."""
        files = (path.relative_to(self.place) for path in self.place.rglob("*") if path.is_file())
        return sorted(str(p) for p in files if not any(UNFINISHED.fullmatch(part) for part in p.parts))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    made = Disk(place)
    made.mount("size=8k")
    yield made
    subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    tiny.dataset(folder / "dataset", 4)
    tiny.assets(folder / "assets")
    write_pack(folder / "pack.npz", *scenes(6))
    Image.fromarray(coffee()[:96, :128]).save(folder / "photo.jpg", quality=95)
    return folder


def prepare(inputs: Path, out: Path) -> list[object]:
    return ["prepare", inputs / "pack.npz", "--camera", tiny.CAMERA, "--out", out / "pairs"]


def bank(inputs: Path, out: Path) -> list[object]:
    parts = ["--encoder", inputs / "assets/shared/encoder.safetensors"]
    parts += ["--reconstructor", inputs / "assets/shared/reconstructor.safetensors", "--entries", 256]
    return ["bank", "build", inputs / "dataset", "-o", out / "bank.safetensors", *parts, "--assets", out / "assets"]


def reconstruct(inputs: Path, out: Path) -> list[object]:
    model = ["--assets", inputs / "assets", "--camera", tiny.CAMERA]
    return ["reconstruct", inputs / "photo.jpg", "-o", out / "a.dng", "--reliability", out / "a.png", *model]


def train(inputs: Path, out: Path) -> list[object]:
    return ["train", "reconstruct", inputs / "dataset", "-o", out / "run", "--steps", 2, "--batch", 2]


COMMANDS = pytest.mark.parametrize("command", [prepare, bank, reconstruct, train])


@COMMANDS
def test_a_full_disk_is_one_line_and_room_mends_it(cli, disk, inputs, tmp_path, command):
    refused = 0
    for kilobytes in (8, 32, 128, 512, 2048, 8192):
        disk.again(f"size={kilobytes}k")
        before = disk.visible()
        code, _, err = cli(*command(inputs, disk.place))
        if not code:
            break
        refused += 1
        lines = [line for line in err.splitlines() if line.startswith("priorraw-edge: ")]
        assert (code, len(lines)) == (2, 1) and "Traceback" not in err, err
        assert str(disk.place) in lines[0] or "room" in lines[0]
        # A log and whole files of an asset folder may be there; none of what the command is for.
        assert [name for name in disk.visible() if name in ("a.dng", "a.png", "pairs/dataset.json")] == []
        assert set(before) <= set(disk.visible())
    assert code == 0 and refused > 0, err
    assert cli(*command(inputs, tmp_path / "elsewhere"))[0] == 0
    for path in (tmp_path / "elsewhere").rglob("*"):
        name = path.relative_to(tmp_path / "elsewhere")
        if path.is_file() and "log" not in name.parts and path.name != "checkpoint.safetensors":
            assert sha256(path) == sha256(disk.place / name), name
    assert not [p for p in disk.place.rglob("*") if UNFINISHED.fullmatch(p.name)]


@COMMANDS
def test_a_read_only_disk_is_one_line(cli, disk, inputs, command):
    disk.again("ro")
    code, _, err = cli(*command(inputs, disk.place))
    lines = [line for line in err.splitlines() if line.startswith("priorraw-edge: ")]
    assert (code, len(lines)) == (2, 1) and "cannot be " in lines[0], err
    assert disk.visible() == []
