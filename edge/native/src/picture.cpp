#include "picture.h"

#include <cmath>

namespace priorraw {
namespace {

/// Where a sample lies between two source pixels.
struct Between {
    int low, high;
    float weight;  // of `high`
};

std::vector<Between> sample(int length, int side) {
    const double scale = 1 / (static_cast<double>(side) / length);
    std::vector<Between> samples;
    for (int i = 0; i < side; ++i) {
        const auto at = static_cast<float>((i + 0.5) * scale - 0.5);
        const int low = static_cast<int>(std::floor(at));
        if (low < 0) {
            samples.push_back({0, 0, 0});
        } else if (low >= length - 1) {
            samples.push_back({length - 1, length - 1, 0});
        } else {
            samples.push_back({low, low + 1, at - static_cast<float>(low)});
        }
    }
    return samples;
}

}  // namespace

std::vector<float> thumbnail_of(const Picture& picture, int side) {
    const auto columns = sample(picture.width, side), rows = sample(picture.height, side);
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
