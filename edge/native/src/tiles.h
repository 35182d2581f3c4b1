#pragma once

#include <vector>

#include "picture.h"

namespace priorraw {

/// One tile along one axis: it reads [origin, origin + tile) and counts on [start, stop), both in picture pixels.
struct Span {
    int origin, start, stop;
};

/// The tiles along an axis of `length` pixels. The rule is that of edge/priorraw_edge/runtime/tiles.py, and
/// tests/vectors/tiles.json holds both to it: origins are multiples of `align`; a tile drops `halo` pixels on each
/// side that lies inside the picture, none at the border; the cores partition the axis.
/// Throws InputError when the tile is no multiple of `align` or leaves nothing between two halos.
std::vector<Span> plan_axis(int length, int tile, int halo, int align);

/// Copy the `tile` x `tile` source at (y, x) into `out` (3, tile, tile), the picture's edge repeated where it ends.
void read_tile(const Picture& picture, int y, int x, int tile, float* out);

}  // namespace priorraw
