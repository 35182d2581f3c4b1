"""What a child process builds for a row: a function that processes the row's picture once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from priorraw.errors import InputError

from priorraw_edge.bench.pictures import photograph, square
from priorraw_edge.bench.rows import NO_CLONE
from priorraw_edge.runtime.engine import Engine

Order = dict[str, Any]  # camera, assets, megapixels, tile, side, folder of what was prepared


@dataclass(frozen=True)
class Subject:
    run: Callable[[], Any]
    pixels: int  # of the picture: halos and padding do not count
    tiles: int = 0  # 0: the picture runs as a whole


def tiled(engine: Engine, megapixels: float) -> Subject:
    """Scene once, then every tile; the picture stays 8-bit and results are dropped, so that memory is the engine's."""
    from priorraw.pictures import thumbnail_of

    from priorraw_edge.runtime.tiles import plan, read_tile

    picture = photograph(megapixels)
    height, width = picture.shape[:2]
    tiles = plan(height, width, engine.tile_size, engine.halo, engine.align)

    def run() -> None:
        scene = engine.scene(thumbnail_of(picture).astype(np.float32) / 255)
        for tile in tiles:
            engine.tile(read_tile(picture, tile.y, tile.x, engine.tile_size).astype(np.float32) / 255, scene)

    return Subject(run, height * width, len(tiles))


def bundle(order: Order) -> Subject:
    from priorraw_edge.runtime.engine import BundleEngine
    from priorraw_edge.runtime.executorch import set_threads

    set_threads(order["threads"])  # ExecuTorch's own count is the machine's, not what this process may use
    return tiled(BundleEngine(Path(order["folder"])), order["megapixels"])


def eager(order: Order) -> Subject:
    from priorraw_edge.runtime.engine import EagerEngine

    return tiled(EagerEngine(_prior(order), order["tile"]), order["megapixels"])


def compiled(order: Order) -> Subject:
    import torch

    from priorraw_edge.runtime.engine import EagerEngine

    prior = _prior(order)
    engine = EagerEngine(prior, order["tile"])
    prior.model.tile = torch.compile(prior.model.tile)
    return tiled(engine, order["megapixels"])


class OnnxEngine:
    """An onnx bundle as an engine; scene and tile only."""

    def __init__(self, folder: Path):
        from priorraw.files import read_json
        from safetensors.numpy import load_file

        from priorraw_edge.verify.onnx_runner import open_runner

        manifest = read_json(folder / "bundle.json")
        self.camera = manifest["camera"]
        self.tile_size, self.halo, self.align = (int(manifest[k]) for k in ("tile", "halo", "align"))
        entry = manifest["banks"][self.camera]
        self.color_matrix = np.array(entry["color_matrix"]).reshape(3, 3)
        self._bank = load_file(folder / entry["file"])
        self._run = open_runner(folder, manifest)

    def scene(self, thumbnail: np.ndarray) -> np.ndarray:
        return self._run("scene", {"thumbnail": _nchw(thumbnail), **self._bank})[0]

    def with_light(self, scene: np.ndarray, light: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def tile(self, srgb: np.ndarray, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raw, reliability = self._run("tile", {"tile": _nchw(srgb), "scene": scene})
        return raw[0].transpose(1, 2, 0), reliability[0, 0]


def onnx(order: Order) -> Subject:
    return tiled(OnnxEngine(Path(order["folder"])), order["megapixels"])


def exact(order: Order) -> Subject:
    from priorraw_edge.bench.exact import exact_method

    prior = _prior(order)
    return _whole(exact_method(prior.model, prior.bank), *_picture_and_thumbnail(order["side"]))


def exact_onnx(order: Order) -> Subject:
    from priorraw_edge.bench.prepare import EXACT_MANIFEST
    from priorraw_edge.verify.onnx_runner import open_runner

    run = open_runner(Path(order["folder"]), EXACT_MANIFEST)
    srgb, thumbnail = _picture_and_thumbnail(order["side"])
    return Subject(lambda: run("exact", {"srgb": srgb, "thumbnail": thumbnail}), order["side"] ** 2)


def convolutions(order: Order) -> Subject:
    import torch

    from priorraw_edge.bench.convolutions import INPUTS
    from priorraw_edge.bench.prepare import CONVOLUTIONS
    from priorraw_edge.runtime.executorch import Program, set_threads

    set_threads(order["threads"])
    program = Program((Path(order["folder"]) / CONVOLUTIONS).read_bytes(), "xnnpack")
    random = np.random.default_rng(0)
    x = torch.from_numpy(random.random((1, INPUTS, order["side"], order["side"]), np.float32))
    return Subject(lambda: program([x], copied=False), order["side"] ** 2)


def cam(order: Order) -> Subject:
    try:
        from benchmarks.rivals.cam import reconstructor_network
    except ImportError:
        raise InputError(NO_CLONE) from None

    srgb = _nchw(square(order["side"]).astype(np.float32) / 255)
    samples = np.zeros((1, 4, *srgb.shape[2:]), np.float32)
    return _whole(reconstructor_network().eval(), np.concatenate([srgb, samples], 1))


def flow(order: Order) -> Subject:
    try:
        from benchmarks.flow import Flow
    except ImportError:
        raise InputError(NO_CLONE) from None

    return _whole(Flow().eval(), _nchw(square(order["side"]).astype(np.float32) / 255))


BUILDERS: dict[str, Callable[[Order], Subject]] = {
    "bundle": bundle,
    "eager": eager,
    "compiled": compiled,
    "onnx": onnx,
    "exact": exact,
    "exact_onnx": exact_onnx,
    "convolutions": convolutions,
    "cam": cam,
    "flow": flow,
}


def _prior(order: Order) -> Any:
    from priorraw.assets import load_assets

    return load_assets(order["camera"], Path(order["assets"]) if order["assets"] else None)


def _whole(network: Any, *inputs: np.ndarray) -> Subject:
    """A network in PyTorch on a whole picture."""
    import torch

    tensors = [torch.from_numpy(array) for array in inputs]

    def run() -> None:
        with torch.inference_mode():
            network(*tensors)

    return Subject(run, inputs[0].shape[2] * inputs[0].shape[3])


def _picture_and_thumbnail(side: int) -> tuple[np.ndarray, np.ndarray]:
    from priorraw.pictures import thumbnail_of

    srgb = square(side).astype(np.float32) / 255
    return _nchw(srgb), _nchw(thumbnail_of(srgb))


def _nchw(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32)
