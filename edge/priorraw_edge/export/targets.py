"""The registry of targets: what each is for, takes, writes and needs. Imports nothing heavy."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from priorraw.errors import InputError

# `priorraw.model`'s ALIGN and HALO; not imported, since a wrong argument is refused before torch is loaded.
TILE_MULTIPLE = 8
TILE_MARGIN = 32
SMALLEST_TILE = 2 * TILE_MARGIN + TILE_MULTIPLE  # leaves pixels inside the halo
DEFAULT_TILE = 560  # cuts the 4:3 of 12 megapixels into 8 x 6 tiles with nothing left over; 512 computes a tenth more
DEPTH_MARGIN = 96  # `priorraw.depth_model`'s HALO
DEPTH_SMALLEST_TILE = 2 * DEPTH_MARGIN + TILE_MULTIPLE
# What bit-depth recovery was lowered to and verified with.
DEPTH_TARGETS = (("xnnpack", "fp32"), ("portable", "fp32"), ("coreml", "fp32"), ("onnx", "fp32"))
LARGEST_TILE = 1024  # beyond it a program's memory grows and the share of the halo hardly falls

PROGRAMS = ("scene.pte", "tile.pte")
EXECUTORCH = ("torch", "executorch")


@dataclass(frozen=True)
class Target:
    """A way to run on a device, as data; `module` holds `convert(programs, folder, precision) -> Converted`."""

    name: str
    aliases: tuple[str, ...]
    description: str
    device: str  # what runs it
    files: tuple[str, ...]  # the programs that it writes
    precisions: tuple[str, ...]  # the first is the default
    packages: tuple[str, ...]  # distributions that the conversion needs
    module: str
    backend: str = ""  # name of the ExecuTorch delegate; "": none
    runs: str = ""  # what runs the programs for verification: executorch, mil, onnxruntime or tosa
    why_not_run: str = ""  # why nothing does, where `runs` is ""
    run_packages: tuple[str, ...] = ()  # distributions that running needs, beyond those of the conversion
    extra: str = ""  # of our distribution, installs `packages`
    measured: tuple[str, ...] = ()  # precisions whose ranges are measured on photographs
    tools: tuple[str, ...] = ("flatc",)  # programs that the conversion calls
    sdk: str = ""  # environment variable that names the folder of a vendor's SDK
    tile: int = DEFAULT_TILE  # side in pixels where none is asked for
    tiles: tuple[int, int] = (SMALLEST_TILE, LARGEST_TILE)

    @property
    def convert(self) -> Callable[..., Any]:
        """The conversion; importing it is what takes seconds."""
        return import_module(self.module).convert


_ALL = (
    Target(
        "xnnpack",
        ("android", "cpu", "arm64", "aarch64", "linux"),
        "ExecuTorch programs with the XNNPACK delegate",
        "any CPU: Android, Linux boxes",
        PROGRAMS,
        ("int8", "fp32"),
        (*EXECUTORCH, "torchao"),
        "priorraw_edge.export.xnnpack",
        backend="XnnpackBackend",
        runs="executorch",
        measured=("int8",),
    ),
    Target(
        "coreml",
        ("ios", "apple", "iphone", "macos", "mlpackage"),
        "Core ML packages, and ExecuTorch programs with the Core ML delegate",
        "Apple devices from iOS 17 and macOS 14 on",
        ("scene.mlpackage", "tile.mlpackage", *PROGRAMS),
        ("mixed", "fp32", "fp16", "int8", "pal8", "pal6", "pal4"),
        (*EXECUTORCH, "coremltools"),
        "priorraw_edge.export.coreml",
        backend="CoreMLBackend",
        runs="mil",
    ),
    Target(
        "vulkan",
        ("gpu", "adreno", "mali"),
        "ExecuTorch programs with the Vulkan delegate",
        "GPUs of Android phones and of Linux boxes",
        PROGRAMS,
        ("fp32", "fp16"),
        EXECUTORCH,
        "priorraw_edge.export.vulkan",
        backend="VulkanBackend",
        why_not_run="needs a Vulkan device and an ExecuTorch runtime built with the Vulkan backend",
    ),
    Target(
        "portable",
        ("reference", "generic", "mcu"),
        "ExecuTorch programs without a delegate: the reference kernels, slow and the same everywhere",
        "whatever ExecuTorch compiles for",
        PROGRAMS,
        ("fp32",),
        EXECUTORCH,
        "priorraw_edge.export.portable",
        runs="executorch",
        tile=128,  # a second a tile; the largest is half a minute
    ),
    Target(
        "openvino",
        ("intel", "ov"),
        "ExecuTorch programs with the OpenVINO delegate",
        "Intel CPUs of the kind that exports, with the same OpenVINO",
        PROGRAMS,
        ("auto",),
        (*EXECUTORCH, "openvino", "nncf"),
        "priorraw_edge.export.openvino",
        backend="OpenvinoBackend",
        runs="executorch",
        extra="openvino",
    ),
    Target(
        "arm-tosa",
        ("tosa",),
        "TOSA 1.0 programs (FP profile), the form that Arm's compilers read",
        "Arm NPUs and GPUs, through a TOSA compiler; runs here in Arm's reference model",
        ("scene.tosa", "tile.tosa"),
        ("fp32",),
        (*EXECUTORCH, "tosa-tools"),
        "priorraw_edge.export.arm_tosa",
        runs="tosa",
        extra="arm",
    ),
    Target(
        "arm-vgf",
        ("vgf", "neural-accelerator"),
        "ExecuTorch programs with the VGF delegate",
        "Arm GPUs with the Vulkan ML extensions",
        PROGRAMS,
        ("fp32",),
        (*EXECUTORCH, "tosa-tools", "ai_ml_sdk_model_converter"),
        "priorraw_edge.export.arm_vgf",
        backend="VgfBackend",
        why_not_run="needs a Vulkan device with Arm's ML extensions",
        extra="arm",
        tools=("flatc", "model-converter"),
    ),
    Target(
        "qnn",
        ("qualcomm", "hexagon", "htp", "snapdragon"),
        "ExecuTorch programs with the Qualcomm delegate; written from its documentation, never run by us",
        "Hexagon NPUs of Snapdragon phones",
        PROGRAMS,
        ("fp16",),
        (*EXECUTORCH, "py-cpuinfo"),
        "priorraw_edge.export.qnn",
        backend="QnnBackend",
        why_not_run="needs a Snapdragon device and Qualcomm's SDK",
        sdk="QNN_SDK_ROOT",
    ),
    Target(
        "onnx",
        ("onnxruntime", "ort"),
        "ONNX programs, for comparison with other run times",
        "whatever ONNX Runtime runs on",
        ("scene.onnx", "tile.onnx"),
        ("fp32",),
        ("torch", "onnx", "onnxscript"),
        "priorraw_edge.export.onnx",
        runs="onnxruntime",
        run_packages=("onnxruntime",),
        extra="onnx",
        tools=(),
    ),
)
TARGETS = {target.name: target for target in _ALL}
ALIASES = {alias: target.name for target in _ALL for alias in target.aliases}


def find_target(name: str) -> Target:
    """The target of that name or alias, in any case.

    Raises:
        InputError: there is none.
    """
    asked = name.lower().replace("_", "-")
    asked = ALIASES.get(asked, asked)
    if asked not in TARGETS:
        from difflib import get_close_matches

        near = get_close_matches(asked, [*TARGETS, *ALIASES], n=1)
        meant = near and ALIASES.get(near[0], near[0])
        hint = f"did you mean {meant}? " if meant else ""
        raise InputError(f"--target {name!r}: unknown; {hint}known: {', '.join(TARGETS)}")
    return TARGETS[asked]


def default_tile(target: Target, task: str) -> int:
    """Side in pixels of the tiles where none is asked for."""
    return target.tile if task == "raw" else max(target.tile, DEPTH_SMALLEST_TILE)


def default_precision(target: Target, task: str) -> str:
    """The precision where none is asked for: of another task than RAW the one that it was tried with, if any."""
    tried = (precision for name, precision in DEPTH_TARGETS if name == target.name)
    return target.precisions[0] if task == "raw" else next(tried, target.precisions[0])


def check_task(target: Target, task: str, tile: int, precision: str) -> None:
    """Refuse what a target was never tried with for another task than RAW.

    Raises:
        InputError: it is so; the message says what to take.
    """
    if task == "raw":
        return
    if (target.name, precision) not in DEPTH_TARGETS:
        tried = ", ".join(f"{name} {kind}" for name, kind in DEPTH_TARGETS)
        raise InputError(f"--task {task}: {target.name} {precision} is not for it; take one of {tried}")
    if tile < DEPTH_SMALLEST_TILE:
        raise InputError(f"--tile {tile}: {DEPTH_MARGIN} pixels a side are halo; take {DEPTH_SMALLEST_TILE} or more")


def check_request(target: Target, tile: int | None, precision: str | None) -> str:
    """Refuse what the target cannot take or what it lacks on this machine; return the precision to use.

    Raises:
        InputError: tile side, precision, a package, a tool or an SDK, each with its cure.
    """
    from priorraw_edge.export.requirements import first_fault

    check_tile(target, target.tile if tile is None else tile)
    precision = precision or target.precisions[0]
    if precision not in target.precisions:
        raise InputError(f"--precision {precision}: {target.name} takes {', '.join(target.precisions)}")
    if fault := first_fault(target):
        raise InputError(f"target {target.name}: {fault}")
    return precision


def check_tile(target: Target, tile: int) -> None:
    """Refuse a tile side that the model or the target cannot take.

    Raises:
        InputError: it is so; the message says what to take.
    """
    least, most = target.tiles
    if tile % TILE_MULTIPLE:
        nearest = min(most, max(least, round(tile / TILE_MULTIPLE) * TILE_MULTIPLE))
        raise InputError(f"--tile {tile}: not a multiple of {TILE_MULTIPLE}; take {nearest}")
    if not least <= tile <= most:
        raise InputError(f"--tile {tile}: {TILE_MARGIN} pixels a side are halo; take {least} to {most}")
