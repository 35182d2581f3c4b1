"""Layouts and what the tile planner makes of them: tests/vectors/tiles.json, which every planner must match.

After a deliberate change of the rule: `python tests/tile_vectors.py` writes the file again.
"""

import json
from pathlib import Path

from priorraw_edge.runtime.tiles import plan

FILE = Path(__file__).parent / "vectors" / "tiles.json"
KEYS = ("height", "width", "tile", "halo", "align")
LAYOUTS = [
    (1, 1, 256, 48, 8),  # smaller than a tile
    (3, 700, 256, 48, 8),
    (256, 256, 256, 48, 8),  # exactly one tile
    (257, 256, 256, 48, 8),  # one pixel more
    (300, 451, 128, 48, 8),
    (220, 300, 104, 48, 8),  # the smallest tile that leaves a core
    (1000, 1504, 512, 48, 8),
    (97, 200, 96, 24, 8),
    (97, 41, 32, 8, 16),  # a step below what lies between the halos, so that origins stay on the grid
    (50, 23, 10, 0, 5),  # no halo
    (31, 17, 9, 2, 1),
    (3000, 4000, 1024, 48, 8),
]
REFUSED = [(100, 100, 96, 48, 8), (100, 100, 100, 8, 8), (100, 100, 40, 17, 8), (100, 100, 8, 20, 8)]


def vectors_text() -> str:
    """The file: per layout its tiles as [y, x, top, bottom, left, right], in the order in which they run."""
    layouts = [
        dict(zip(KEYS, layout, strict=True))
        | {"tiles": [[t.y, t.x, t.top, t.bottom, t.left, t.right] for t in plan(*layout)]}
        for layout in LAYOUTS
    ]
    refused = [dict(zip(KEYS, layout, strict=True)) for layout in REFUSED]

    def lines(entries: list[dict]) -> str:
        return ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)

    return f'{{"layouts": [\n{lines(layouts)}\n],\n"refused": [\n{lines(refused)}\n]}}\n'


if __name__ == "__main__":
    FILE.write_text(vectors_text())
