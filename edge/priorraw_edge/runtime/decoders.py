"""A decoder that is kept ready: small photographs are decoded in a tenth of the time that starting Python takes.

Each photograph still has a process of its own, forked from one that has loaded the libraries (`decoder.serve`), with
limits of its own; one that crashes takes nothing with it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

from priorraw_edge.runtime.spool import Decoding, decoder_environment


class Decoders:
    """Use as `Spool(..., start=decoders.start)`; its process ends with the context, or with this one.

    Requests are answered one after the other.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._requests: socket.socket | None = None

    def start(self, request: dict[str, Any]) -> Decoding:
        """Begin to decode; see `spool.start_decoder`."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._open()
        assert self._requests is not None
        read, write = os.pipe()
        files = [request["spool"], write]
        try:
            line = json.dumps(request).encode() + b"\n"
            with suppress(BrokenPipeError):  # it died since: the pipe then ends without an answer
                socket.send_fds(self._requests, [line], files)
        finally:
            os.close(write)
        return _Forked(read)

    def close(self) -> None:
        """End the process."""
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            self._process.wait()
        self._process = self._requests = None

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        self._requests, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "priorraw_edge.runtime.decoder", "--serve", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=decoder_environment(),
            )


class _Forked:
    """A photograph's own process, seen through the pipe that it answers by."""

    def __init__(self, pipe: int):
        self._pipe = open(pipe, "rb")  # noqa: SIM115, closed in communicate
        self.returncode: int | None = None

    def communicate(self) -> tuple[bytes, bytes]:
        """Its answer; a process that gave none leaves its exit status in `returncode`."""
        if self.returncode is None:
            with self._pipe:
                told = self._pipe.read()
            code = _code(told)
            self.returncode = -signal.SIGKILL if code is None else code
            return (b"" if self.returncode else told), b"without saying why"
        return b"", b""

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        """It cannot be ended from here and ends by its own limits; nobody reads what it writes."""
        self.returncode = -signal.SIGKILL
        self._pipe.close()


def _code(told: bytes) -> int | None:
    """The exit status: 0 with an answer, the one that is told, None where the pipe ended without a word."""
    if not told:
        return None
    answer = json.loads(told)
    return int(answer["code"]) if "code" in answer else 0
