"""Progress of long steps: a bar on a terminal, a plain line now and then otherwise. Always on stderr."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
PLAIN_LINE_SECONDS = 10.0
_silent = False


@contextmanager
def silent() -> Iterator[None]:
    """Show nothing meanwhile: steps of a longer one that has its own progress, processes that are not the first."""
    global _silent
    before, _silent = _silent, True
    try:
        yield
    finally:
        _silent = before


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield from `items`, showing how many of `total` are done."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if _silent:
        yield from items
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, description=what, total=total, console=Console(stderr=True))
        return
    last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last >= PLAIN_LINE_SECONDS:
            say(f"{what}: {done}/{total if total is not None else '?'}")
            last = time.monotonic()


def say(line: str) -> None:
    """One plain line for the person at the terminal; standard output stays for results."""
    if not _silent:
        print(line, file=sys.stderr, flush=True)
