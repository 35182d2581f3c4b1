"""The decoder's process: a photograph file to rows in a spool. Run by `spool`, never by hand.

    python -m priorraw_edge.runtime.decoder REQUEST

It imports no torch, has limits on memory and time, and a decoder that crashes takes nothing else with it. The answer
is one JSON object on standard output.
"""

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from priorraw.errors import InputError

from priorraw_edge.runtime.exif import read_facts
from priorraw_edge.runtime.hint import read_hint
from priorraw_edge.runtime.picture import open_strips
from priorraw_edge.runtime.source import SpoolLayout

SECONDS = 600  # of a processor, for one picture: a damaged file may send a decoder round in circles
MEGABYTES = 4096  # a JPEG of 200 megapixels takes 0.9 GB, a progressive one up to 2.1


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Decode `photo` into the open file `spool`, with `megabytes` of memory; read its hint where `hint` asks for it.

    Returns:
        layout, notes, facts, hint, hint_note; or error, a line for the user.
    """
    photo = Path(request["photo"])
    _limit(request["megabytes"] or MEGABYTES)
    try:
        layout, notes = spool_rows(photo, request["spool"], request["pixels"])
        hint, hint_note = read_hint(photo) if request["hint"] else (None, None)
        facts = read_facts(photo)
    except InputError as error:
        return {"error": str(error)}
    except MemoryError:
        limit = request["megabytes"] or MEGABYTES
        return {"error": f"{photo}: decoding it takes more than {limit} MB; shrink it first, or raise --max-memory"}
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
    with open(spool, "wb", closefd=False) as out, open_strips(photo) as strips:
        width, height = strips.file.width, strips.file.height
        if most is not None and width * height > most:
            raise InputError(
                f"{photo}: {width}x{height} is above the limit of {most / 1e6:.0f} megapixels here; shrink it"
            )
        for rows in strips.rows:
            data = np.ascontiguousarray(rows, strips.dtype).data
            try:
                out.write(data)
            except OSError as error:
                size = strips.file.height * strips.file.width * 3 * strips.dtype.itemsize
                raise InputError(
                    f"{photo}: no room for its {size >> 20} MB of pixels beside the output ({error.strerror}); "
                    "make room or choose another place"
                ) from None
        layout = SpoolLayout(strips.file.height, strips.file.width, strips.dtype.name, strips.file.orientation)
        return layout, strips.notes


def _limit(megabytes: int) -> None:
    for what, most in ((resource.RLIMIT_DATA, megabytes << 20), (resource.RLIMIT_CPU, SECONDS)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
