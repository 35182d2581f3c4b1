"""The bundle that the page runs: exported once for this version and model, then kept in the user's cache.

python -m priorraw_edge.page.bundle_cache [ASSETS]    prints where it lies
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from priorraw.assets import ASSET, cameras_in, load_assets, shipped_assets
from priorraw.errors import InputError
from priorraw.files import read_json
from priorraw.progress import say

TARGET = "xnnpack"


def cached_bundle(assets: Path | None = None, tile: int | None = None) -> Path:
    """The xnnpack bundle with the banks of every camera of the assets; exported where there is none.

    Args:
        assets: an asset folder; the shipped one by default.
        tile: side of a tile in pixels; the target's own by default.

    Raises:
        InputError: no assets, or no place for the bundle.
    """
    from priorraw_edge.export.bundle import BUNDLE, add_bank, export_bundle
    from priorraw_edge.export.targets import check_request, find_target
    from priorraw_edge.runtime.engine import DEFAULT_CAMERA, BundleEngine
    from priorraw_edge.runtime.manifest import FORMAT
    from priorraw_edge.verify.verify import measure_bank

    folder = assets or shipped_assets()
    cameras = cameras_in(folder)
    if not cameras:
        raise InputError(f"{folder}: holds no camera; leave out --assets to use the shipped ones")
    target = find_target(TARGET)
    precision = check_request(target, tile, None)
    tile = tile or target.tile
    what = [FORMAT, tile, precision, *(f"{name} {version(name)}" for name in ("priorraw-edge", *target.packages))]
    what += [json.dumps(read_json(folder / camera / ASSET).get("files"), sort_keys=True) for camera in cameras]
    key = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]
    bundle = cache_folder() / f"{TARGET}-{precision}-{tile}-{key}"
    if (bundle / BUNDLE).is_file():
        try:
            BundleEngine(bundle)
        except InputError as error:
            say(f"{error}; doing so")
        else:
            return bundle
    say(f"first start: exporting the model for {TARGET}, about a minute")
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=bundle.parent, prefix=".export-") as temporary:
        made = Path(temporary) / "bundle"
        default = DEFAULT_CAMERA if DEFAULT_CAMERA in cameras else cameras[0]
        prior = load_assets(default, folder)
        manifest = export_bundle(
            prior, target, made, tile=tile, precision=precision, assets=folder, measure=measure_bank
        )
        for camera in cameras:
            if camera != default:
                manifest = add_bank(made, manifest, load_assets(camera, folder), measure_bank)
                say(f"bank of {camera} added")
        shutil.rmtree(bundle, ignore_errors=True)
        made.rename(bundle)
    say(f"kept in {bundle}")
    return bundle


def cache_folder() -> Path:
    """Where bundles are kept: below $XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "priorraw-edge" / "bundles"


if __name__ == "__main__":
    from priorraw_edge.quiet import quiet_libraries

    try:
        with quiet_libraries():
            print(cached_bundle(Path(sys.argv[1]) if sys.argv[1:] else None))
    except InputError as error:
        print(f"priorraw-edge: {error}", file=sys.stderr)
        sys.exit(2)
