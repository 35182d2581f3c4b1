"""What rows run from: bundles and programs, made once under build/bench/ by processes of their own.

    python -m priorraw_edge.bench.prepare exact-onnx|convolutions FOLDER CAMERA SIDE [ASSETS]

Their folders carry a fingerprint of weights, code and tool versions: what was made of others is not used.
"""

import hashlib
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from priorraw_edge.bench.child import SkippedRowError
from priorraw_edge.bench.rows import Row

BUILD = Path("build/bench")
CONVOLUTIONS = "convolutions.pte"
EXACT = "exact.onnx"
EXACT_MANIFEST = {
    "programs": {
        "exact": {
            "file": EXACT,
            "inputs": [{"name": "srgb"}, {"name": "thumbnail"}],
            "outputs": [{"name": "raw"}],
        }
    }
}
CLI = "import sys; from priorraw_edge.cli import main; main(sys.argv[1:])"


def fingerprint(assets: Path, camera: str, packages: tuple[str, ...]) -> str:
    """Eight digits of a sha256 over what a bundle is made of."""
    import priorraw

    import priorraw_edge.export

    digest = hashlib.sha256(camera.encode())
    sources = [Path(priorraw.__file__).parent, Path(priorraw_edge.export.__file__).parent]
    files = [file for folder in sources for file in sorted(folder.glob("*.py"))]
    own = [Path(__file__).with_name(f"{name}.py") for name in ("convolutions", "exact", "prepare")]
    for file in [
        *files,
        *own,
        *sorted((assets / "shared").glob("*")),
        *sorted((assets / camera).glob("*.safetensors")),
    ]:
        digest.update(file.name.encode() + file.read_bytes())
    for name in packages:
        digest.update(f"{name} {version(name)}".encode())
    return digest.hexdigest()[:8]


def prepare(row: Row, camera: str, assets: Path | None, environment: dict[str, str]) -> Path | None:
    """The folder that the row runs from, made if need be; None for a row that needs none.

    Raises:
        SkippedRowError: it cannot be made; the message is the last line of the process that tried.
    """
    if row.bundle is not None:
        return Path(row.bundle)
    if row.target is None and row.build not in ("exact_onnx", "convolutions"):
        return None
    from priorraw.assets import shipped_assets

    folder = BUILD / f"{row.name}-{camera}-{fingerprint(assets or shipped_assets(), camera, row.packages)}"
    if (folder / "bundle.json").is_file():
        return folder
    where = ["--assets", str(assets)] if assets else []
    if row.target:
        call = ["-c", CLI, "export", "--target", row.target, "--precision", row.precision, "--tile", str(row.tile)]
        call += ["--camera", camera, "--out", str(folder), *where]
    else:
        kind = row.build.replace("_", "-")
        call = ["-m", "priorraw_edge.bench.prepare", kind, str(folder), camera, str(row.side), *where[1:]]
    done = subprocess.run([sys.executable, "-W", "ignore", *call], env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise SkippedRowError(lines[-1].removeprefix("priorraw-edge: ") if lines else f"exit code {done.returncode}")
    return folder


def _exact_onnx(folder: Path, camera: str, side: int, assets: Path | None) -> None:
    import torch
    from priorraw.assets import load_assets
    from priorraw.model import THUMBNAIL

    from priorraw_edge.bench.exact import exact_method
    from priorraw_edge.export.onnx import OPSET

    prior = load_assets(camera, assets)
    inputs = (torch.rand(1, 3, side, side), torch.rand(1, 3, THUMBNAIL, THUMBNAIL))
    with torch.no_grad():
        exported = torch.onnx.export(
            exact_method(prior.model, prior.bank),
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=["srgb", "thumbnail"],
            output_names=["raw"],
            verbose=False,
        )
    assert exported is not None
    (folder / EXACT).write_bytes(exported.model_proto.SerializeToString(deterministic=True))


def _convolutions(folder: Path, camera: str, side: int, assets: Path | None) -> None:
    import torch
    from priorraw.assets import load_assets

    from priorraw_edge.bench.convolutions import INPUTS, Convolutions
    from priorraw_edge.export.xnnpack import lower

    network = Convolutions(load_assets(camera, assets).model.reconstructor).eval()
    exported = torch.export.export(network, (torch.rand(1, INPUTS, side, side),))
    (folder / CONVOLUTIONS).write_bytes(lower("convolutions", exported)[0])


def main(arguments: list[str]) -> None:
    from priorraw.files import atomic_folder

    kind, out, camera, side, *assets = arguments
    make = {"exact-onnx": _exact_onnx, "convolutions": _convolutions}[kind]
    with atomic_folder(Path(out), "bundle.json") as folder:
        make(folder, camera, int(side), Path(assets[0]) if assets else None)
        (folder / "bundle.json").write_text(json.dumps({"kind": kind, "side": int(side)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
