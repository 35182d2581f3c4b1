"""PriorRAW Edge, everything after training: export, verify, and the run time on tiles.

From a photograph to RAW::

    from priorraw_edge import load

    raw = load("sony-imx135").reconstruct("photo.jpg")
    raw.save("photo.dng")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priorraw.errors import InputError

    from priorraw_edge.api import Model, Raw, cameras, load
    from priorraw_edge.errors import CheckError

    __version__: str

__all__ = ["CheckError", "InputError", "Model", "Raw", "__version__", "cameras", "load"]

_HOME = {
    **dict.fromkeys(("Model", "Raw", "cameras", "load"), "priorraw_edge.api"),
    "CheckError": "priorraw_edge.errors",
    "InputError": "priorraw.errors",
}


def __getattr__(name: str) -> object:
    # Late, so that importing the package (and the command line's --help) does not load torch.
    if name == "__version__":
        from importlib.metadata import version

        return version("priorraw-edge")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'priorraw_edge' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
