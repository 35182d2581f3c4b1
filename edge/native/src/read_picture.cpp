#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <string>

#include "error.h"
#include "files.h"
#include "picture.h"
#include "read_png.h"

namespace priorraw {
namespace {
namespace fs = std::filesystem;

constexpr std::uintmax_t LARGEST_FILE = std::uintmax_t{4} << 30;
constexpr long long LARGEST_PICTURE = 200'000'000;  // pixels

Picture blank(const std::string& name, long long width, long long height) {
    if (width < 1 || height < 1 || width > LARGEST_PICTURE || height > LARGEST_PICTURE ||
        width * height > LARGEST_PICTURE) {
        throw InputError(name + ": is " + std::to_string(width) + "x" + std::to_string(height) +
                         " pixels; give 1 pixel to 200 megapixels");
    }
    Picture picture{static_cast<int>(width), static_cast<int>(height), {}};
    picture.values.resize(3 * static_cast<std::size_t>(width * height));
    return picture;
}

/// A whole number of a PPM header, after white space and comments; -1 if there is none.
long long ppm_number(const Bytes& bytes, std::size_t& at) {
    while (at < bytes.size() && (std::isspace(bytes[at]) || bytes[at] == '#')) {
        if (bytes[at++] == '#') {
            while (at < bytes.size() && bytes[at] != '\n') ++at;
        }
    }
    long long number = -1;
    for (; at < bytes.size() && std::isdigit(bytes[at]) && number < LARGEST_PICTURE; ++at) {
        number = std::max(number, 0LL) * 10 + (bytes[at] - '0');
    }
    return number;
}

Picture read_ppm(const Bytes& bytes, const std::string& name) {
    std::size_t at = 2;
    const long long width = ppm_number(bytes, at), height = ppm_number(bytes, at), white = ppm_number(bytes, at);
    if (width < 0 || height < 0 || white < 1 || white > 65535 || at == bytes.size() || !std::isspace(bytes[at])) {
        throw InputError(name + ": damaged (no PPM header); save it again");
    }
    ++at;
    const std::size_t depth = white > 255 ? 2 : 1;
    // Before the memory is taken: a header can claim any size.
    if (static_cast<double>(width) * static_cast<double>(height) * 3 * static_cast<double>(depth) >
        static_cast<double>(bytes.size() - at)) {
        throw InputError(name + ": damaged (ends before its last pixel); save it again");
    }
    Picture picture = blank(name, width, height);
    for (float& value : picture.values) {
        const int code = depth == 2 ? bytes[at] << 8 | bytes[at + 1] : bytes[at];
        if (code > white) throw InputError(name + ": damaged (a value above its maximum); save it again");
        value = static_cast<float>(code) / static_cast<float>(white);
        at += depth;
    }
    return picture;
}

Picture read_float(const Bytes& bytes, const std::string& name, Size size) {
    const auto needed = 12 * static_cast<std::uintmax_t>(size.width) * static_cast<std::uintmax_t>(size.height);
    if (bytes.size() != needed) {
        throw InputError(name + ": has " + std::to_string(bytes.size()) + " bytes, " + std::to_string(size.width) +
                         "x" + std::to_string(size.height) + " float32 RGB are " + std::to_string(needed) +
                         "; give its --size");
    }
    Picture picture = blank(name, size.width, size.height);
    std::memcpy(picture.values.data(), bytes.data(), bytes.size());
    // Not "value < 0 || value > 1": NaN must be refused.
    if (!std::ranges::all_of(picture.values, [](float value) { return value >= 0 && value <= 1; })) {
        throw InputError(name + ": holds values outside [0, 1]; give sRGB-encoded float32, 1 = white");
    }
    return picture;
}

Picture read_png(const Bytes& bytes, const std::string& name) {
    PngReader png(bytes, name);
    Picture picture = blank(name, png.width(), png.height());
    const Bytes rows = png.read();
    if (png.bits() == 8) {
        std::ranges::transform(rows, picture.values.begin(), [](unsigned char code) { return code / 255.0f; });
    } else {
        const unsigned char* code = rows.data();
        for (float& value : picture.values) {
            value = static_cast<float>(code[0] << 8 | code[1]) / 65535.0f;
            code += 2;
        }
    }
    return picture;
}

}  // namespace

Picture read_picture(const fs::path& path, std::optional<Size> size) {
    const std::string name = path.string();
    const Bytes bytes = read_file(path, LARGEST_FILE, "name a PNG or PPM file");
    if (size) return read_float(bytes, name, *size);
    if (bytes.size() >= 8 && std::memcmp(bytes.data(), "\x89PNG\r\n\x1a\n", 8) == 0) return read_png(bytes, name);
    if (bytes.size() >= 3 && bytes[0] == 'P' && bytes[1] == '6') return read_ppm(bytes, name);
    throw InputError(name + ": neither PNG nor PPM (P6); convert it to PNG, or give --size WxH for raw float32");
}

}  // namespace priorraw
