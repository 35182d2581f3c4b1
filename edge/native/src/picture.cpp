#include "picture.h"

#include <algorithm>
#include <cmath>

namespace priorraw {
namespace {

/// Where a sample lies between two source pixels.
struct Between {
    int low, high;
    float weight;  // of `high`
};

/// Beyond the border OpenCV mixes the last row with itself, and takes the last column as it is: the same but for
/// rounding.
std::vector<Between> sample(int length, int side, bool column) {
    const double scale = 1 / (static_cast<double>(side) / length);
    std::vector<Between> samples;
    for (int i = 0; i < side; ++i) {
        const auto at = static_cast<float>((i + 0.5) * scale - 0.5);
        const auto low = static_cast<int>(std::floor(at));
        const bool inside = low >= 0 && low < length - 1;
        samples.push_back({std::clamp(low, 0, length - 1), std::clamp(low + 1, 0, length - 1),
                           inside || !column ? at - static_cast<float>(low) : 0});
    }
    return samples;
}

}  // namespace

std::vector<float> thumbnail_of(const Picture& picture, int side) {
    const auto columns = sample(picture.width, side, true), rows = sample(picture.height, side, false);
    std::vector<float> thumbnail(3 * static_cast<std::size_t>(side) * side);
    const auto across = [](const float* row, const Between& column, int channel) {
        return row[3 * column.low + channel] * (1 - column.weight) + row[3 * column.high + channel] * column.weight;
    };
    float* out = thumbnail.data();
    for (int channel = 0; channel < 3; ++channel) {
        for (const Between& row : rows) {
            for (const Between& column : columns) {
                *out++ = across(picture.row(row.low), column, channel) * (1 - row.weight) +
                         across(picture.row(row.high), column, channel) * row.weight;
            }
        }
    }
    return thumbnail;
}

}  // namespace priorraw
