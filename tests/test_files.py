"""Files are whole or absent."""

import errno
import hashlib
import os
import signal
from pathlib import Path

import pytest
from priorraw import files
from priorraw.errors import InputError
from priorraw.files import (
    UNFINISHED,
    atomic_file,
    atomic_folder,
    clear_unfinished,
    read_json,
    sha256,
    visible,
    write_json,
)


def test_sha256_is_that_of_hashlib(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 1_000_000)
    assert sha256(path) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


def test_atomic_file_appears_whole_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("done")
        assert not path.exists()
        assert temporary.suffix == ".txt"  # writers that go by the suffix still work
    assert path.read_text() == "done"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_atomic_file_failure_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_atomic_file_refuses_a_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder"), atomic_file(tmp_path):
        pass


def test_atomic_folder_replaces_its_own_kind_only(tmp_path):
    path = tmp_path / "out"
    for content in ("first", "second"):
        with atomic_folder(path, "mark.json") as folder:
            (folder / "mark.json").write_text(content)
    assert (path / "mark.json").read_text() == "second"
    (path / "mark.json").unlink()
    (path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds no mark\.json"), atomic_folder(path, "mark.json"):
        pass
    assert (path / "precious.txt").read_text() == "mine"


def test_atomic_folder_failure_leaves_the_old_one(tmp_path):
    path = tmp_path / "out"
    with atomic_folder(path, "mark.json") as folder:
        (folder / "mark.json").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(path, "mark.json") as folder:
        (folder / "mark.json").write_text("half")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (path / "mark.json").read_text() == "old"


def test_atomic_folder_refuses_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"), atomic_folder(tmp_path / "out", "m"):
        pass


def test_json_has_stable_bytes(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [1.5]})
    write_json(tmp_path / "b.json", {"a": [1.5], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "a.json") == {"a": [1.5], "b": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "not readable as JSON"), (b"{", "not readable"), (b"[1]", "no JSON object"), (b"\xff\xfe", "not readable")],
)
def test_bad_json_is_named(tmp_path, content, reason):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.json: .*{reason}"):
        read_json(tmp_path / "a.json")


def test_missing_json_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.json: not found"):
        read_json(tmp_path / "a.json")


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_modes_are_readable_by_others(tmp_path):
    with atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("")
    with atomic_folder(tmp_path / "d", "m"):
        pass
    assert [oct((tmp_path / n).stat().st_mode)[-3:] for n in "ad"] == ["644", "755"]


def test_a_place_under_a_file_is_named(tmp_path):
    (tmp_path / "f").write_text("")
    for write in (lambda: atomic_file(tmp_path / "f" / "a"), lambda: atomic_folder(tmp_path / "f" / "a", "m")):
        with pytest.raises(InputError, match=r"f/a: cannot be written \((File exists|Not a directory)\)"), write():
            pass


def test_a_folder_needs_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="has no name"), atomic_folder(Path(), "m"):
        pass


def test_a_full_disk_leaves_nothing(tmp_path):
    for write in (lambda: atomic_file(tmp_path / "a"), lambda: atomic_folder(tmp_path / "a", "m")):
        with pytest.raises(InputError, match=r"a: cannot be written \(No space left on device\)"), write():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert not list(tmp_path.iterdir())


def test_other_failures_of_the_writer_pass(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a"):
        (tmp_path / "input").read_bytes()


def test_what_a_killed_writer_left_is_cleared_by_the_next(tmp_path):
    def die_half_way() -> None:
        with atomic_file(tmp_path / "a.dng") as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        die_half_way()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert UNFINISHED.fullmatch(left.name) and left.is_dir()
    with atomic_file(tmp_path / "b.dng") as temporary:
        temporary.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["b.dng"]


def test_what_another_process_is_writing_stays(tmp_path):
    with atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("half")
        assert clear_unfinished(tmp_path) == []
        child = os.fork()
        if not child:  # not even by another process that clears the folder before it writes
            files._swept.clear()
            with atomic_file(tmp_path / "b") as other:
                other.write_text("")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_only_what_is_ours_is_cleared(tmp_path):
    (tmp_path / ".a.abcdefgh.unfinished").write_text("a file, not a folder")
    (tmp_path / "a.unfinished").mkdir()
    (tmp_path / ".b.abcdefgh.unfinished").symlink_to(tmp_path / "a.unfinished")
    assert clear_unfinished(tmp_path) == []
    (tmp_path / ".c.abcdefgh.unfinished").mkdir()
    assert clear_unfinished(tmp_path) == [tmp_path / ".c.abcdefgh.unfinished"]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    with atomic_folder(tmp_path / "d", "m") as folder:
        (folder / "m").write_text("old")
    rename = Path.rename

    def fail_second(self: Path, to: Path) -> Path:
        if to == tmp_path / "d" and "replaced" not in self.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises(InputError, match="cannot be written"), atomic_folder(tmp_path / "d", "m") as folder:
        (folder / "m").write_text("new")
    assert (tmp_path / "d" / "m").read_text() == "old"


def test_hidden_files_are_no_pictures(tmp_path):
    for name in ("b.png", "A.PNG", ".b.png", "._b.png", "c.txt"):
        (tmp_path / name).write_text("")
    assert [p.name for p in visible(tmp_path, ".png")] == ["A.PNG", "b.png"]
    assert visible(tmp_path / "absent", ".png") == []
