"""A square turned and mirrored: for the geometric self-ensemble, the mean of what a network says of all of these views.

A network is not quite as good at a pattern as at its mirror image, and where the answers differ their mean is nearer to
the truth (Timofte, Rothe, Van Gool, "Seven ways to improve example-based single image super resolution", CVPR 2016).
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the run time reads the turns without torch
    from torch import Tensor


class Turn(NamedTuple):
    """Rows and columns are flipped, then exchanged."""

    rows: bool
    columns: bool
    transposed: bool


# The first 1, 2, 4 or 8 are as unlike as so many can be.
TURNS = (
    Turn(False, False, False),
    Turn(True, True, True),
    Turn(True, True, False),
    Turn(False, False, True),
    Turn(True, False, False),
    Turn(False, True, False),
    Turn(True, False, True),
    Turn(False, True, True),
)


def turned(maps: "Tensor", turn: Turn) -> "Tensor":
    """(..., H, W) seen so; (..., W, H) where it is transposed."""
    maps = maps.flip([axis for axis, flipped in ((-2, turn.rows), (-1, turn.columns)) if flipped])
    return maps.transpose(-1, -2) if turn.transposed else maps


def turned_back(maps: "Tensor", turn: Turn) -> "Tensor":
    """Inverse of `turned`."""
    return turned(maps.transpose(-1, -2) if turn.transposed else maps, turn._replace(transposed=False))
