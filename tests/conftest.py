"""Fixtures that several test files use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real sensor data, for tests that need more than a clone holds."""
    folder = os.environ.get("PRIORRAW_DATA")
    if not folder:
        pytest.skip("needs real sensor data: set PRIORRAW_DATA to its folder")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"PRIORRAW_DATA is {folder}, which is no folder")
    return path


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call `priorraw-edge` in this process: cli("prepare", path, ...) -> (exit code, stdout, stderr)."""
    from priorraw_edge.cli import main

    def call(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in args])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack of ten random scenes, `samples.scenes()`."""
    from samples import scenes, write_pack

    return write_pack(tmp_path / "pack.npz", *scenes())


@pytest.fixture(scope="session")
def page_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the local page runs, of random weights and small tiles: as on a first start, in a cache of its own."""
    from priorraw_edge.page.bundle_cache import cached_bundle
    from random_assets import write_random_assets

    assets = write_random_assets(tmp_path_factory.mktemp("page-assets"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        made = cached_bundle(assets, tile=72)
        stamp = (made / "bundle.json").stat().st_mtime_ns
        assert cached_bundle(assets, tile=72) == made  # the second start finds it
        assert (made / "bundle.json").stat().st_mtime_ns == stamp
    assert [path.name for path in made.parent.iterdir()] == [made.name]
    return made
