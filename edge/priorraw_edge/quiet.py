"""Keeps what libraries say about themselves from burying what this program says."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide warnings, log lines below ERROR and progress bars of torch, coremltools and executorch.

    Errors pass. `python -W default` or PYTHONWARNINGS brings everything back, for those who debug an export.
    """
    if sys.warnoptions:
        yield
        return
    os.environ.setdefault("TQDM_DISABLE", "1")
    disabled = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(disabled)


# How lines of ExecuTorch's C++ begin that tell a user nothing: probes for Arm chips on any Linux, sizes of pools.
CHATTER = (b"[cpuinfo_utils.cpp:", b"[threadpool.cpp:")


@contextmanager
def quiet_executorch() -> Iterator[None]:
    """Keep ExecuTorch's C++ from telling of its probes on file descriptor 2; whatever else is written there passes on.

    For the moments in which programs are loaded: nothing is passed on before the end.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        terminal = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            for line in held:
                if not line.startswith(CHATTER):
                    os.write(2, line)
