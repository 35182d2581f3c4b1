"""What `prepare --task bit-depth` takes: picture files, folders of them, and Radiance (.hdr) renders."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from priorraw.depth_prepare import Source, hdr_source
from priorraw.errors import InputError

from priorraw_edge.runtime.deep import PICTURES, picture_codes

HDR = ".hdr"


def expand(sources: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the pictures in them.

    Raises:
        InputError: a path is missing, or a folder holds no picture.
    """
    paths: list[Path] = []
    for source in sources:
        if source.is_dir():
            found = sorted(p for p in source.iterdir() if p.suffix.lower() in (*PICTURES, HDR))
            if not found:
                raise InputError(f"{source}: holds no picture ({', '.join(sorted((*PICTURES, HDR)))})")
            paths += found
        elif source.is_file():
            paths.append(source)
        else:
            raise InputError(f"{source}: not found")
    return paths


def walk(paths: Sequence[Path]) -> Iterator[Source]:
    """One source a file; what cannot be read carries the error."""
    for path in paths:
        if path.suffix.lower() == HDR:
            yield hdr_source(path)
            continue
        try:
            yield Source(path.stem, str(path), picture_codes(path))
        except InputError as error:
            yield Source(path.stem, str(path), error)
