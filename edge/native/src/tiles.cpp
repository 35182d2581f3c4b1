#include "tiles.h"

#include <algorithm>
#include <string>

#include "error.h"

namespace priorraw {

std::vector<Span> plan_axis(int length, int tile, int halo, int align) {
    const int step = (tile - 2 * halo) / align * align;
    if (tile % align != 0 || tile <= 2 * halo || step < 1) {
        throw InputError("tile " + std::to_string(tile) + " with halo " + std::to_string(halo) + " and align " +
                         std::to_string(align) + " leaves no core");
    }
    const int padded = std::max(tile, (length + align - 1) / align * align);
    std::vector<Span> spans;
    int start = 0;
    for (int origin = 0; origin < padded - tile; origin += step) {
        spans.push_back({origin, start, origin + tile - halo});
        start = origin + tile - halo;
    }
    spans.push_back({padded - tile, start, length});
    return spans;
}

void read_tile(const Picture& picture, int y, int x, int tile, float* out) {
    const std::size_t plane = static_cast<std::size_t>(tile) * tile;
    for (int row = 0; row < tile; ++row) {
        const float* source = picture.row(std::min(y + row, picture.height - 1));
        for (int column = 0; column < tile; ++column, ++out) {
            const float* pixel = source + 3 * static_cast<std::size_t>(std::min(x + column, picture.width - 1));
            for (int channel = 0; channel < 3; ++channel) out[channel * plane] = pixel[channel];
        }
    }
}

}  // namespace priorraw
