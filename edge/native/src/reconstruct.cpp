#include "reconstruct.h"

#include <algorithm>
#include <cmath>

#include "clock.h"
#include "error.h"
#include "tiles.h"

namespace priorraw {
namespace {

/// The finished part of the picture that one row of tiles makes.
struct Strip {
    std::vector<float> raw, reliability;
    int width;

    Strip(int rows, int width)
        : raw(3 * static_cast<std::size_t>(rows) * width), reliability(static_cast<std::size_t>(rows) * width),
          width(width) {}

    /// Copy the core of a tile, which starts at column `columns.start` of the strip's first row.
    void put(const Tensors& outputs, int tile, const Span& rows, const Span& columns) {
        const float* planes = outputs.at("raw").values.data();
        const float* trust = outputs.at("reliability").values.data();
        const std::size_t plane = static_cast<std::size_t>(tile) * tile;
        for (int y = rows.start; y < rows.stop; ++y) {
            for (int x = columns.start; x < columns.stop; ++x) {
                const std::size_t from = static_cast<std::size_t>(y - rows.origin) * tile + (x - columns.origin);
                const std::size_t to = static_cast<std::size_t>(y - rows.start) * width + x;
                for (int channel = 0; channel < 3; ++channel) raw[3 * to + channel] = planes[channel * plane + from];
                reliability[to] = trust[from];
            }
        }
    }

    bool finite() const {
        const auto all = [](const std::vector<float>& values) {
            return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
        };
        return all(raw) && all(reliability);
    }
};

}  // namespace

Cost reconstruct(const Bundle& bundle, Model& model, const Tensors& bank, const Picture& picture,
                 const TakeRows& take) {
    Cost cost;
    std::vector<double> times;
    const int T = bundle.tile;
    const Shape thumbnail = {1, 3, bundle.thumbnail, bundle.thumbnail}, square = {1, 3, T, T};
    Tensors inputs = {{"tile", {square, std::vector<float>(count(square))}}};
    cost.scene = milliseconds([&] {
        inputs["scene"] = model.scene({thumbnail, thumbnail_of(picture, bundle.thumbnail)}, bank);
    });
    const auto columns = plan_axis(picture.width, T, bundle.halo, bundle.align);
    for (const Span& rows : plan_axis(picture.height, T, bundle.halo, bundle.align)) {
        Strip strip(rows.stop - rows.start, picture.width);
        for (const Span& across : columns) {
            read_tile(picture, rows.origin, across.origin, T, inputs.at("tile").values.data());
            Tensors outputs;
            times.push_back(milliseconds([&] { outputs = model.tile(inputs); }));
            strip.put(outputs, T, rows, across);
        }
        if (!strip.finite()) {
            throw InputError(bundle.path_of(bundle.tile_program.file) + ": gives NaN; export the bundle again");
        }
        take(strip.raw.data(), strip.reliability.data(), rows.stop - rows.start);
    }
    cost.tiles = static_cast<int>(times.size());
    cost.tile = median(times);
    return cost;
}

}  // namespace priorraw
