"""The decoder's process: a photograph file to rows in a spool. Run by `spool`, never by hand.

    python -m priorraw_edge.runtime.decoder REQUEST
    python -m priorraw_edge.runtime.decoder --serve SOCKET

The second form, started by `decoders`, forks for every request that comes over its socket: the libraries are loaded
once, and yet each photograph has a process of its own.

It imports no torch, has limits on memory and time, and a decoder that crashes takes nothing else with it. The answer
is one JSON object on standard output.
"""

import json
import os
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from priorraw.apart import limit
from priorraw.errors import InputError

from priorraw_edge.runtime.exif import read_facts
from priorraw_edge.runtime.hint import read_hint
from priorraw_edge.runtime.picture import open_strips
from priorraw_edge.runtime.source import SpoolLayout

SECONDS = 600  # of a processor, for one picture
MEGABYTES = 4096  # a JPEG of 200 megapixels takes 0.9 GB, a progressive one up to 2.1


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Decode `photo` into the open file `spool`, with `megabytes` of memory; read its hint where `hint` asks for it.

    Returns:
        layout, notes, facts, hint, hint_note; or error, a line for the user.
    """
    photo = Path(request["photo"])
    megabytes = request["megabytes"] or MEGABYTES
    limit(megabytes, SECONDS)
    try:
        layout, notes = spool_rows(photo, request["spool"], request["pixels"])
        hint, hint_note = read_hint(photo) if request["hint"] else (None, None)
        facts = read_facts(photo)
    except InputError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"{photo}: decoding it takes more than {megabytes} MB; shrink it first, or raise --max-memory"}
    told = None if hint is None else {"gains": hint.gains.tolist(), "source": hint.source, "camera": hint.camera}
    return {
        "layout": asdict(layout),
        "notes": notes,
        "facts": facts.to_json(),
        "hint": told,
        "hint_note": hint_note,
    }


def spool_rows(photo: Path, spool: int, most: int | None = None) -> tuple[SpoolLayout, list[str]]:
    """Write a photograph's rows to an open file.

    Raises:
        InputError: the photograph cannot be used or has more than `most` pixels, or the disk is full.
    """
    with open_strips(photo) as strips:
        width, height = strips.file.width, strips.file.height
        if most is not None and width * height > most:
            raise InputError(
                f"{photo}: {width}x{height} is above the limit of {most / 1e6:.0f} megapixels here; shrink it"
            )
        for rows in strips.rows:
            data = np.ascontiguousarray(rows, strips.dtype).data.cast("B")
            try:
                while data:  # unbuffered: what does not fit shows here, and not when the file is closed
                    data = data[os.write(spool, data) :]
            except OSError as error:
                size = strips.file.height * strips.file.width * 3 * strips.dtype.itemsize
                raise InputError(
                    f"{photo}: no room for its {size >> 20} MB of pixels beside the output ({error.strerror}); "
                    "make room or choose another place"
                ) from None
        layout = SpoolLayout(strips.file.height, strips.file.width, strips.dtype.name, strips.file.orientation)
        return layout, strips.notes


def serve(requests: socket.socket) -> None:
    """Answer requests, one after the other, until the other end is closed.

    A request is a line of JSON with two files: the spool, and a pipe for the answer. The answer is `main`'s, or
    `{"code": ...}` with the exit status of a process that did not give one.
    """
    import cv2  # noqa: F401, loaded here so that the forks need not
    import imagecodecs  # noqa: F401
    import PIL.ImageCms
    import tifffile  # noqa: F401

    PIL.Image.init()
    while True:
        line, files, _, _ = socket.recv_fds(requests, 1 << 16, 2)
        while line and not line.endswith(b"\n"):
            line += requests.recv(1 << 16)
        if not line:
            return
        spool, answer = files
        child = os.fork()
        if child == 0:
            _answer(json.loads(line) | {"spool": spool}, answer)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            with suppress(BrokenPipeError):  # nobody waits any more
                os.write(answer, json.dumps({"code": code}).encode())
        os.close(spool)
        os.close(answer)


def _answer(request: dict[str, Any], answer: int) -> None:
    """Decode and write the answer, then end this process."""
    code = 1
    try:
        told = json.dumps(main(request)).encode()
        with open(answer, "wb", closefd=False) as pipe:
            pipe.write(told)
        code = 0
    except Exception as error:  # a fault of ours: its last line goes where a traceback would
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        with socket.socket(fileno=int(sys.argv[2])) as requests:
            serve(requests)
    else:
        print(json.dumps(main(json.loads(sys.argv[1]))))
