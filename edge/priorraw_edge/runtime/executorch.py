"""ExecuTorch's C++ run time without its exporter: `executorch.runtime` imports the exporter for the class of a
warning, which takes seconds and 130 MB that a run does not need.
"""

import weakref
from types import ModuleType

from torch import Tensor

from priorraw_edge.quiet import quiet_executorch

_loaded: "weakref.WeakSet[Program]" = weakref.WeakSet()


class Program:
    """A program's method `forward`, ready to run."""

    def __init__(self, data: bytes, target: str):
        """
        Args:
            data: a .pte file.
            target: what it was lowered for.

        Raises:
            RuntimeError: ExecuTorch does not load it.
            KeyError: it has no method `forward`.
        """
        library = _library(target)
        self._data = data  # a loaded program reads from these bytes as long as it lives
        with quiet_executorch():
            self._program = library._load_program_from_buffer(
                data,
                enable_etdump=False,
                debug_buffer_size=0,
                program_verification=library.Verification.InternalConsistency,
            )
            names = [self._program.get_method_name(i) for i in range(self._program.num_methods())]
            if "forward" not in names:
                raise KeyError("forward")
            self._method = self._program.load_method("forward")
        _loaded.add(self)

    def __call__(self, inputs: list[Tensor], *, copied: bool = True) -> list[Tensor]:
        """Run it. Outputs that are not `copied` lie in memory that the next run writes again."""
        return self._method(inputs, clone_outputs=copied)


def set_threads(threads: int) -> None:
    """How many threads compute an operator together.

    Raises:
        ValueError: programs are loaded that hold on to the threads as they are.
    """
    library = _library("")
    with quiet_executorch():
        if library._threadpool_get_thread_count() == threads:
            return
        if _loaded:
            raise ValueError("threads are set before the first program is loaded")
        library._unsafe_reset_threadpool(threads)


def _library(target: str) -> ModuleType:
    import torch  # noqa: F401, the library links against it

    if target == "openvino":  # the Python face finds OpenVINO's library
        from executorch.extension.pybindings import portable_lib

        return portable_lib
    from executorch.extension.pybindings import _portable_lib

    return _portable_lib
