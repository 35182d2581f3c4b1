#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <vector>

namespace priorraw {

struct Size {
    int width, height;
};

/// An sRGB-encoded picture in [0, 1]: rows of interleaved RGB.
struct Picture {
    int width = 0, height = 0;
    std::vector<float> values;  // (height, width, 3)

    const float* row(int y) const { return values.data() + 3 * static_cast<std::size_t>(width) * y; }
    float* row(int y) { return values.data() + 3 * static_cast<std::size_t>(width) * y; }
};

/// Read a PNG or a PPM (P6), 8 or 16 bit, or raw float32 (height, width, 3), little-endian, if `size` is given.
///
/// Grey and palette pictures become RGB. Refused, each with its cure: transparency, a colour profile other than
/// sRGB, more than 200 megapixels, and what is damaged. Throws InputError.
Picture read_picture(const std::filesystem::path& path, std::optional<Size> size);

/// The picture squeezed to (3, side, side) by plain bilinear sampling, without anti-aliasing, as the training packs
/// were made. The arithmetic is that of OpenCV's INTER_LINEAR on float32: bit for bit what it gives without
/// vector instructions, which round differently in the last bit.
std::vector<float> thumbnail_of(const Picture& picture, int side);

}  // namespace priorraw
