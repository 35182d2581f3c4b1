"""Ray's workers: what they leave is the local engine's, also when one is killed. One cluster of two for all tests."""

import os
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tiny
from photos import PHOTO, saved
from priorraw.assets import ENCODER
from priorraw.errors import InputError
from priorraw_edge.archive import run as runs
from priorraw_edge.archive.inputs import Plan
from priorraw_edge.runtime.session import Settings
from test_archive import manifest, outputs

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'priorraw-edge[scale]'")

PHOTOS = 500


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return tiny.assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module", autouse=True)
def cluster():
    for last in (False, False, True):
        try:
            ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
            break
        except Exception:  # its processes have half a minute to start, which a busy machine may not give them
            ray.shutdown()
            if last:
                raise
    yield
    ray.shutdown()


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_and_doubles_nothing(assets, tmp_path):
    from priorraw_edge.archive.ray_engine import rows

    tree, settings = tmp_path / "photos", Settings(camera=tiny.CAMERA, assets=assets)
    for i in range(PHOTOS):
        folder = tree / f"{i % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        saved(folder / f"{i:03d}.png", np.roll(PHOTO[:24, :36], i, 1) ^ np.uint8(i % 4))
    (tree / "3" / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    runs.run(Plan((str(tree),), tmp_path / "local"), settings)
    killed, taken = [], Counter()

    def killing(tasks, settings, **options):
        for row in rows(tasks, settings, **options):
            taken[row["photo"]] += 1
            if len(taken) == 60:
                killed.append(int(row["worker"].split(":")[1]))
                os.kill(killed[0], signal.SIGKILL)
            yield row

    out = tmp_path / "ray"
    report = runs.run(Plan((str(tree),), out), settings, engine=partial(killing, workers=2, marks=out / ".attempts"))
    assert (report["photos"], report["done"], report["failed"]) == (PHOTOS + 1, PHOTOS, 1)
    assert report["failures"][0]["photo"] == "3/bad.jpg"
    assert len(taken) == PHOTOS + 1 and set(taken.values()) == {1}
    workers = {row["worker"] for row in manifest(out).values()}
    assert len(workers) == 3 and any(name.endswith(f":{killed[0]}") for name in workers)  # another took its place
    assert len(outputs(out)) == PHOTOS and outputs(out) == outputs(tmp_path / "local")
    assert not list(out.rglob("*.unfinished")) and not (out / ".attempts").exists()
    # Stopped and gone on with: nothing is left to do.
    again = runs.run(Plan((str(tree),), out), settings, resume=True, engine=partial(rows, marks=out / ".attempts"))
    assert (again["kept"], again["failed"]) == (PHOTOS, 1)


def test_the_command_takes_the_engine(cli, assets, tmp_path):
    (tmp_path / "in").mkdir()
    saved(tmp_path / "in" / "a.png", PHOTO[:24, :36])
    call = ("reconstruct", tmp_path / "in", "--assets", assets, "--camera", tiny.CAMERA, "--engine", "ray")
    assert cli(*call, "-o", tmp_path / "out", "--workers", 1)[0] == 0
    assert list(outputs(tmp_path / "out")) == ["a.dng"]
    code, _, errors = cli(*call, "-o", tmp_path / "more", "--workers", 3)
    assert code == 2 and "the cluster has 2 cores; ask for as many at most" in errors


def test_a_bank_of_the_cluster_is_the_local_one(cli, assets, tmp_path):
    dataset = tiny.dataset(tmp_path / "d", 20)
    call = ("bank", "build", dataset, "--encoder", assets / ENCODER, "--entries", 32, "--passes", 2)
    for engine in ("local", "ray"):
        assert cli(*call, "--engine", engine, "-o", tmp_path / f"{engine}.safetensors")[0] == 0
    assert (tmp_path / "ray.safetensors").read_bytes() == (tmp_path / "local.safetensors").read_bytes()


def test_a_missing_ray_is_one_line(monkeypatch):
    import sys

    from priorraw.spread import connect

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"Ray is not installed; pip install 'priorraw-edge\[scale\]'"):
        connect()
