"""A photograph decoded by a process of its own into a file without a name, that is then read by windows."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from priorraw.apart import why
from priorraw.errors import InputError

from priorraw_edge.runtime.exif import Facts
from priorraw_edge.runtime.hint import Hint
from priorraw_edge.runtime.source import SpoolLayout, SpoolSource


class Decoding(Protocol):
    """A decoder's process at work; the part of `subprocess.Popen` that is used."""

    returncode: int | None

    def communicate(self) -> tuple[bytes, bytes]:
        """Wait for its end: its answer, and what it said otherwise."""

    def poll(self) -> int | None:
        """`returncode`, None while it works."""

    def kill(self) -> None:
        """End it."""


Start = Callable[[dict[str, Any]], Decoding]


def start_decoder(request: dict[str, Any]) -> Decoding:
    """A decoder of its own for one request: `decoder.main`, whose `spool` is a file that this process has open."""
    return subprocess.Popen(
        # -P: a file in the working folder must not pass for a module.
        [sys.executable, "-P", "-m", "priorraw_edge.runtime.decoder", json.dumps(request)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(request["spool"],),
        env=decoder_environment(),
    )


def decoder_environment() -> dict[str, str]:
    """A decoder's libraries need no threads."""
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Spooled:
    """A photograph that is ready to be read."""

    source: SpoolSource
    notes: list[str]  # what was decided about this file, a plain line each
    facts: Facts  # what the file says of how it was taken
    hint: Hint | None  # where it was asked for
    hint_note: str | None

    def notes_for(self, camera: str) -> list[str]:
        """What the user must know of this file where its RAW becomes `camera`'s, a plain line each."""
        notes = list(self.notes)
        if self.hint_note:
            notes.append(self.hint_note)
        if self.hint and not self.hint.is_of(camera):
            notes.append(f"these are gains of another sensor than {camera}'s: the light will be off")
        return notes


class Spool:
    """The decoding of one photograph, which begins at once; the spool lasts as long as the context.

    The spool has no name (or loses it at once, where the system knows no files without), so nothing stays behind,
    however this process ends. It holds the picture uncompressed: 3 bytes a pixel for an 8-bit photograph, 12 where
    a colour profile or transparency has to be applied.
    """

    def __init__(
        self,
        photo: Path,
        folder: Path,
        *,
        hint: bool = False,
        megabytes: int | None = None,
        pixels: int | None = None,
        start: Start = start_decoder,
    ):
        """
        Args:
            photo: a JPEG, PNG or TIFF file.
            folder: where the spool lies, or the nearest folder above it that exists.
            hint: whether to read the photograph's white-balance gains.
            megabytes: limit on the decoder's memory.
            pixels: limit on the photograph's size, below the decoder's own.
            start: how the decoder's process is had (`decoders` keeps one ready for many photographs).

        Raises:
            InputError: no file can be made in `folder`.
        """
        self._photo = photo
        existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())
        try:
            self._file = tempfile.TemporaryFile(dir=existing, buffering=0)  # noqa: SIM115, closed in __exit__
        except OSError as error:
            raise InputError(f"{existing}: cannot be written ({error.strerror}); choose another place") from None
        self._process = start(
            {
                "photo": str(photo),
                "spool": self._file.fileno(),
                "hint": hint,
                "megabytes": megabytes,
                "pixels": pixels,
            }
        )

    def wait(self) -> Spooled:
        """The decoded photograph.

        Raises:
            InputError: it cannot be used, or its decoder crashed or ran into a limit.
        """
        out, said = self._process.communicate()
        code = self._process.returncode
        if code:
            raise InputError(f"{self._photo}: {why(code, said)}; make or copy the file again, or convert it to PNG")
        answer = json.loads(out)
        if "error" in answer:
            raise InputError(answer["error"])
        told = answer["hint"]
        return Spooled(
            source=SpoolSource(self._file, SpoolLayout(**answer["layout"])),
            notes=answer["notes"],
            facts=Facts.from_json(answer["facts"]),
            hint=Hint(np.array(told["gains"]), told["source"], told["camera"]) if told else None,
            hint_note=answer["hint_note"],
        )

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._file.close()
