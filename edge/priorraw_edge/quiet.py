"""Keeps what libraries say about themselves from burying what this program says."""

import logging
import os
import sys
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
