"""The rows of the benchmark as data: what each one runs, on how large a picture, and what it needs. Imports nothing."""

from dataclasses import dataclass

from priorraw_edge.export.targets import TARGETS

TILES = (256, 560, 1024)
EAGER_TILE = 512
SLOW = 2.0  # megapixels: enough for what takes seconds a megapixel, and runs no faster on more
OURS, EXACT, RIVAL = "PriorRAW Edge", "exact one-scale method", "rival"
NO_CLONE = "needs the folder benchmarks/ of the sources: run it in a clone of the repository"


@dataclass(frozen=True)
class Row:
    """One row: `build` names what a child process builds (`subjects.BUILDERS`), `work` what is counted of it.

    `side` is that of the square picture, in pixels, which runs as a whole; None: the picture of the call, in tiles of
    `tile`, and of `most` megapixels. `part` is no whole method and takes part in no ratio between methods.
    """

    name: str
    label: str
    of: str  # OURS, EXACT or RIVAL
    build: str
    work: str  # `counting.WORKS`
    precision: str = "fp32"
    tile: int | None = None
    side: int | None = None
    most: float | None = None
    bundle: str | None = None  # folder; None: exported for the run
    target: str | None = None  # whose bundle it runs
    packages: tuple[str, ...] = ()
    compiler: bool = False
    part: bool = False


def default_bundle() -> str:
    """Name of the row of the bundle that `priorraw-edge export --target xnnpack` makes when told nothing else."""
    target = TARGETS["xnnpack"]
    return f"xnnpack-{target.precisions[0]}-{target.tile}"


def all_rows() -> list[Row]:
    """Every row, in the order in which a round measures them."""
    rows = []
    for precision in TARGETS["xnnpack"].precisions:
        for tile in sorted({*TILES, TARGETS["xnnpack"].tile}):
            label = f"XNNPACK {precision}, tile {tile}"
            rows.append(
                Row(
                    f"xnnpack-{precision}-{tile}",
                    label,
                    OURS,
                    "bundle",
                    "model",
                    precision,
                    tile,
                    target="xnnpack",
                    packages=TARGETS["xnnpack"].packages,
                )
            )
    rows += [
        Row(
            "xnnpack-fp32-convolutions",
            "XNNPACK fp32, convolutions alone",
            OURS,
            "convolutions",
            "convolutions",
            side=EAGER_TILE,
            packages=TARGETS["xnnpack"].packages,
            part=True,
        ),
        Row(
            f"onnx-fp32-{EAGER_TILE}",
            f"ONNX Runtime fp32, tile {EAGER_TILE}",
            OURS,
            "onnx",
            "model",
            tile=EAGER_TILE,
            most=SLOW,
            target="onnx",
            packages=(*TARGETS["onnx"].packages, *TARGETS["onnx"].run_packages),
        ),
        Row(
            f"compiled-{EAGER_TILE}",
            f"torch.compile, tile {EAGER_TILE}",
            OURS,
            "compiled",
            "model",
            tile=EAGER_TILE,
            most=SLOW,
            compiler=True,
        ),
        Row(f"eager-{EAGER_TILE}", f"PyTorch, tile {EAGER_TILE}", OURS, "eager", "model", tile=EAGER_TILE, most=SLOW),
        Row(
            "exact-onnx",
            "ONNX Runtime fp32",
            EXACT,
            "exact_onnx",
            "exact",
            side=512,
            packages=(*TARGETS["onnx"].packages, *TARGETS["onnx"].run_packages),
        ),
        Row("exact-eager", "PyTorch", EXACT, "exact", "exact", side=512),
        Row("cam-unet", "CAM's U-Net, PyTorch", RIVAL, "cam", "cam", side=1024),
        Row("flow", "InvISP-like flow, PyTorch", RIVAL, "flow", "flow", side=512),
    ]
    return rows
