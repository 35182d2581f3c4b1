"""`reconstruct` over folder trees: the tree again, a manifest, resume; what is bad is reported and ends nothing."""

import fcntl
import hashlib
import json
import os
import signal
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from photos import PHOTO, saved
from PIL import Image
from priorraw.errors import InputError
from priorraw_edge.archive import run as runs
from priorraw_edge.archive.inputs import Plan, Task
from priorraw_edge.archive.worker import Attempts, Worker
from priorraw_edge.runtime.decoders import Decoders
from priorraw_edge.runtime.outputs import Job
from priorraw_edge.runtime.session import Session, Settings
from priorraw_edge.runtime.spool import Spool


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return tiny.assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture
def tree(tmp_path) -> Path:
    """Six photographs in three folders, a bad file, and what is to be passed over."""
    root = tmp_path / "photos"
    for i, name in enumerate(("a.png", "b.png", "b.jpg", "2024/c.png", "2024/d.tiff", "2025/may/e.JPG")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        saved(path, np.roll(PHOTO[:40, :60], 7 * i, 1))
    (root / "2024" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (root / "readme.txt").write_text("none")
    (root / ".thumbs").mkdir()
    saved(root / ".thumbs" / "a.png", PHOTO[:8, :8])
    (root / "loop").symlink_to(root)
    return root


OUTPUTS = ["2024/c.dng", "2024/d.dng", "2025/may/e.dng", "a.dng", "b.jpg.dng", "b.png.dng"]


def outputs(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*.dng"))}


def manifest(out: Path) -> dict[str, dict]:
    with sqlite3.connect(out / "manifest.sqlite") as rows:
        rows.row_factory = sqlite3.Row
        return {row["photo"]: dict(row) for row in rows.execute("SELECT * FROM photos")}


def test_a_tree_comes_out_as_a_tree(cli, tree, assets, tmp_path):
    out = tmp_path / "out"
    code, said, _ = cli("reconstruct", tree, "-o", out, "--assets", assets, "--camera", tiny.CAMERA, "--json")
    assert code == 0 and sorted(outputs(out)) == OUTPUTS
    report = json.loads(said)
    assert json.loads((out / "report.json").read_text()) == report
    assert (report["photos"], report["done"], report["failed"], report["kept"]) == (7, 6, 1, 0)
    (failure,) = report["failures"]
    assert failure["photo"] == "2024/broken.jpg" and failure["error"].startswith(f"{tree / '2024/broken.jpg'}: ")
    rows = manifest(out)
    assert len(rows) == 7 and rows["2024/broken.jpg"]["status"] == "failed"
    for name in ("a.png", "2024/d.tiff", "2025/may/e.JPG"):
        row = rows[name]
        assert row["sha256"] == hashlib.sha256((tree / name).read_bytes()).hexdigest()
        assert row["output_sha256"] == hashlib.sha256(Path(row["output"]).read_bytes()).hexdigest()
        assert (
            row["bank_sha256"] == hashlib.sha256((assets / tiny.CAMERA / "bank.safetensors").read_bytes()).hexdigest()
        )
        assert 0 < row["reliability_p05"] <= row["reliability_mean"] + 1 / 256 and row["seconds"] > 0
        assert (row["width"], row["height"]) == (60, 40)
    # One by one, without an archive, the same bytes come out.
    cli("reconstruct", tree / "2024/c.png", "-o", tmp_path / "c.dng", "--assets", assets, "--camera", tiny.CAMERA)
    assert (tmp_path / "c.dng").read_bytes() == outputs(out)["2024/c.dng"]
    assert {p.name for p in out.iterdir()} == {
        "2024", "2025", "a.dng", "b.jpg.dng", "b.png.dng", "manifest.sqlite", ".manifest.sqlite.lock", "report.json",
    }  # fmt: skip


def test_an_interrupted_archive_goes_on_where_it_stopped(tree, assets, tmp_path, monkeypatch):
    settings = Settings(camera=tiny.CAMERA, assets=assets)
    runs.run(Plan((str(tree),), tmp_path / "whole"), settings)
    plan, rebuild, rebuilt = Plan((str(tree),), tmp_path / "out"), Session.rebuild, []

    def counted(self: Session, job: Job, photo) -> dict:
        if len(rebuilt) == 3:
            raise KeyboardInterrupt
        rebuilt.append(job.photo)
        return rebuild(self, job, photo)

    monkeypatch.setattr(Session, "rebuild", counted)
    with pytest.raises(KeyboardInterrupt):
        runs.run(plan, settings)
    assert len(outputs(tmp_path / "out")) == 3
    with pytest.raises(InputError, match="tells of an earlier run; go on with --resume"):
        runs.run(plan, settings)
    rebuilt.append(Path())  # past the stop
    report = runs.run(plan, settings, resume=True)
    assert len(rebuilt) == 7 and len(set(rebuilt)) == 7  # none twice
    assert (report["done"], report["failed"], report["kept"]) == (6, 1, 3)
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


def test_resume_takes_what_is_new_changed_or_gone(tree, assets, tmp_path):
    settings, plan = Settings(camera=tiny.CAMERA, assets=assets), Plan((str(tree),), tmp_path / "out")
    runs.run(plan, settings)
    saved(tree / "2024" / "new.png", PHOTO[:32, :48])
    saved(tree / "a.png", PHOTO[50:90, :60])
    (tmp_path / "out" / "2024" / "c.dng").unlink()
    saved(tree / "2024" / "broken.jpg", PHOTO[:32, :40])  # mended
    before = manifest(tmp_path / "out")
    report = runs.run(plan, settings, resume=True)
    assert (report["done"], report["failed"], report["kept"]) == (8, 0, 4)
    after = manifest(tmp_path / "out")
    again = {name for name in after if after[name]["finished"] != before.get(name, {}).get("finished")}
    assert again == {"2024/new.png", "a.png", "2024/c.png", "2024/broken.jpg"}
    assert len(outputs(tmp_path / "out")) == 8


def test_another_camera_does_not_go_on(tree, assets, tmp_path):
    settings, plan = Settings(camera=tiny.CAMERA, assets=assets), Plan((str(tree),), tmp_path / "out")
    runs.run(plan, settings)
    for other, what in (
        ((replace(plan, file_format="tiff"), settings), "format"),
        ((plan, replace(settings, hint="2,1,2")), "hint"),
        ((plan, replace(settings, assets=None, camera="sony-imx135")), "camera, model"),
    ):
        with pytest.raises(InputError, match=f"made with another {what}; give the same"):
            runs.run(*other, resume=True)
    (tmp_path / "out" / "manifest.sqlite").write_text("no database, but long enough to be told from one" * 9)
    with pytest.raises(InputError, match=r"manifest\.sqlite: not a manifest"):
        runs.run(plan, settings, resume=True)


def test_two_runs_do_not_write_one_manifest(tree, assets, tmp_path):
    settings, plan = Settings(camera=tiny.CAMERA, assets=assets), Plan((str(tree),), tmp_path / "out")
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".manifest.sqlite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run is writing it"):
            runs.run(plan, settings)


def test_an_address_is_walked_like_a_folder(tree, assets, tmp_path):
    settings = Settings(camera=tiny.CAMERA, assets=assets)
    runs.run(Plan((str(tree),), tmp_path / "folder"), settings)
    report = runs.run(Plan((tree.as_uri(),), tmp_path / "address"), settings)
    assert (report["done"], report["failed"]) == (6, 1)
    assert report["failures"][0]["error"].startswith(f"{tree.as_uri()}/2024/broken.jpg: ")
    # EXIF and name apart, a DNG holds nothing of where the photograph lay.
    assert outputs(tmp_path / "address") == outputs(tmp_path / "folder")
    assert runs.run(Plan((tree.as_uri(),), tmp_path / "address"), settings, resume=True)["kept"] == 6


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none/", "-o", "out", "--resume"], "none/: not found"),
        (["empty", "-o", "out"], "empty: holds no JPEG, PNG or TIFF photographs"),
        (["empty", "-o", "empty"], "the output would lie among the photographs"),
        (["empty", "sub/empty", "-o", "out"], "a second folder of that name"),
        (["empty", "-o", "out.dng"], "names a file; an archive needs a folder"),
        (["nope://bucket/x", "-o", "out"], "nope://bucket/x: cannot be opened"),
        (["empty", "-o", "out", "--workers", "2"], "--workers goes with --engine ray"),
        (["empty", "-o", "out", "--cfa", "RGGB", "--format", "npy"], "--cfa makes a DNG"),
    ],
)
def test_what_cannot_be_an_archive_is_one_line(cli, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "sub" / "empty").mkdir(parents=True)
    code, _, errors = cli("reconstruct", *arguments)
    assert code == 2 and line in errors and errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_archive_of_bad_files_alone_fails(cli, assets, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"")
    model = ("--assets", assets, "--camera", tiny.CAMERA)
    code, _, errors = cli("reconstruct", tmp_path / "in", "-o", tmp_path / "out", *model)
    assert code == 2 and "no photo could be rebuilt" in errors
    assert list(manifest(tmp_path / "out")) == ["a.jpg"]


def test_several_folders_keep_their_names(tree, tmp_path):
    plan = Plan((str(tree / "2024"), str(tree / "2025")), tmp_path / "out", reliability=tmp_path / "trust")
    plan.check()
    tasks = list(plan.tasks())
    assert [task.name for task in tasks] == ["2024/broken.jpg", "2024/c.png", "2024/d.tiff", "2025/may/e.JPG"]
    assert tasks[1].job.out == tmp_path / "out/2024/c.dng"
    assert tasks[3].job.reliability == tmp_path / "trust/2025/may/e.reliability.png"
    assert list(plan.tasks()) == tasks


# --- the decoder that is kept ready ---------------------------------------------------------------------------


def test_a_kept_decoder_decodes_as_a_new_one_does(tmp_path):
    picture = Image.fromarray(PHOTO)
    photo = tmp_path / "a.jpg"
    picture.save(photo, quality=90)
    with Decoders() as decoders:
        for _ in range(3):
            with Spool(photo, tmp_path) as new, Spool(photo, tmp_path, start=decoders.start) as kept:
                one, other = new.wait(), kept.wait()
                assert (one.notes, one.facts, one.hint) == (other.notes, other.facts, other.hint)
                assert (one.source.window(0, 160, 0, 220) == other.source.window(0, 160, 0, 220)).all()


def test_a_kept_decoder_outlives_bad_files_and_its_own_end(tmp_path):
    good, bad = saved(tmp_path / "a.png", PHOTO), tmp_path / "b.png"
    bad.write_bytes(good.read_bytes()[:400])
    huge = saved(tmp_path / "c.jpg", np.zeros((6000, 6000, 3), np.uint8))
    with Decoders() as decoders:

        def width(photo: Path, **limits) -> int:
            with Spool(photo, tmp_path, start=decoders.start, **limits) as spool:
                return spool.wait().source.width

        assert width(good) == 220
        with pytest.raises(InputError, match=r"b\.png: "):
            width(bad)
        with pytest.raises(InputError, match="more than 100 MB"):
            width(huge, megabytes=100)
        with Spool(huge, tmp_path, start=decoders.start):
            pass  # left early: what it decodes is read by nobody
        assert width(good) == 220
        assert decoders._process is not None
        os.kill(decoders._process.pid, signal.SIGKILL)
        decoders._process.wait()
        assert width(good) == 220  # another one was started


def test_a_decoder_that_crashes_is_one_row(tree, assets, tmp_path, monkeypatch):
    """Its process is ended from outside while it decodes; the next photograph is not touched by it."""
    settings = Settings(camera=tiny.CAMERA, assets=assets)
    plan = Plan((str(tree / "2024"),), tmp_path / "out")
    start, seen = Decoders.start, []

    def killed(self: Decoders, request: dict):
        seen.append(request["photo"])
        decoding = start(self, request)
        if len(seen) == 2:
            assert self._process is not None
            os.kill(self._process.pid, signal.SIGKILL)
        return decoding

    monkeypatch.setattr(Decoders, "start", killed)
    report = runs.run(plan, settings)
    assert report["done"] + report["failed"] == 3 and report["done"] >= 1
    monkeypatch.undo()
    assert runs.run(plan, settings, resume=True)["done"] == 2


def test_a_photograph_that_ends_its_workers_is_given_up(tree, assets, tmp_path):
    task = Task("a.png", str(tree / "a.png"), Job(tree / "a.png", tmp_path / "out" / "a.dng", "dng"))
    mark = tmp_path / hashlib.sha256(b"a.png").hexdigest()
    worker = Worker(Settings(camera=tiny.CAMERA, assets=assets), Attempts(tmp_path))
    mark.write_bytes(b"..")  # two workers began it and died
    assert next(worker.rows([task]))["status"] == "done" and not mark.exists()
    mark.write_bytes(b"...")
    row = next(worker.rows([task]))
    assert row["status"] == "failed" and "ended its worker 3 times" in row["error"]
    worker.close()
