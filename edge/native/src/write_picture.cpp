#include "write_picture.h"

#include <png.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <utility>
#include <vector>

#include "error.h"

namespace priorraw {
namespace {
namespace fs = std::filesystem;

/// [0, 1] to 16-bit codes, rounded to nearest even as numpy's rint does.
std::vector<std::uint16_t> quantise(const float* values, std::size_t count) {
    std::vector<std::uint16_t> codes(count);
    std::transform(values, values + count, codes.begin(), [](float value) {
        return static_cast<std::uint16_t>(std::nearbyint(std::clamp(value, 0.0f, 1.0f) * 65535.0f));
    });
    return codes;
}

class FloatWriter : public PictureWriter {
public:
    FloatWriter(const fs::path& path, int width, int channels) : PictureWriter(path, width, channels) {}

    void append(const float* values, int count) override {
        file_.write(values, row_ * static_cast<std::size_t>(count) * sizeof(float));
    }
    void finish() override { file_.close(); }
};

/// Baseline TIFF 6.0, little-endian, one uncompressed strip after the directory.
class TiffWriter : public PictureWriter {
public:
    TiffWriter(const fs::path& path, int width, int height, int channels, const std::string& description)
        : PictureWriter(path, width, channels) {
        constexpr std::uint32_t SHORT = 3, LONG = 4, ASCII = 2, ENTRIES = 11, AFTER = 8 + 2 + 12 * ENTRIES + 4;
        const std::uint32_t text = static_cast<std::uint32_t>(description.size()) + 1;
        const std::uint32_t depths = AFTER + text + text % 2, pixels = depths + 6;
        const auto bytes = static_cast<std::uint32_t>(2 * row_ * static_cast<std::size_t>(height));
        const auto samples = static_cast<std::uint32_t>(channels), rows = static_cast<std::uint32_t>(height);
        file_.write("II*\0\x08\0\0\0", 8);
        put16(ENTRIES);
        entry(256, LONG, 1, static_cast<std::uint32_t>(width));
        entry(257, LONG, 1, rows);
        entry(258, SHORT, samples, samples == 1 ? 16 : depths);  // bits per sample
        entry(259, SHORT, 1, 1);                                  // no compression
        entry(262, SHORT, 1, samples == 1 ? 1 : 2);               // black is zero, or RGB
        entry(270, ASCII, text, AFTER);                           // description
        entry(273, LONG, 1, pixels);                              // the strip
        entry(277, SHORT, 1, samples);
        entry(278, LONG, 1, rows);
        entry(279, LONG, 1, bytes);
        entry(284, SHORT, 1, 1);  // samples of a pixel together
        put32(0);                 // no further directory
        file_.write(description.c_str(), text);
        if (text % 2) file_.write("", 1);
        for (int i = 0; i < 3; ++i) put16(16);
    }

    void append(const float* values, int count) override {
        const auto codes = quantise(values, row_ * static_cast<std::size_t>(count));
        file_.write(codes.data(), codes.size() * sizeof(codes[0]));
    }
    void finish() override { file_.close(); }

private:
    void put16(std::uint16_t value) { file_.write(&value, 2); }
    void put32(std::uint32_t value) { file_.write(&value, 4); }
    void entry(std::uint16_t tag, std::uint32_t type, std::uint32_t count, std::uint32_t value) {
        put16(tag);
        put16(static_cast<std::uint16_t>(type));
        put32(count);
        put32(value);
    }
};

class PngWriter : public PictureWriter {
public:
    PngWriter(const fs::path& path, int width, int height, int channels, const std::string& description)
        : PictureWriter(path, width, channels) {
        libpng_.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
        libpng_.info = libpng_.png ? png_create_info_struct(libpng_.png) : nullptr;
        if (!libpng_.info) throw std::bad_alloc();
        png_set_write_fn(
            libpng_.png, this,
            [](png_structp png, png_bytep data, size_t size) {
                const auto& self = *static_cast<PngWriter*>(png_get_io_ptr(png));
                if (std::fwrite(data, 1, size, self.stream_) != size) png_error(png, "not written");
            },
            nullptr);
        png_text text{};
        char key[] = "Description";
        std::string value = description;
        text.compression = PNG_TEXT_COMPRESSION_NONE;
        text.key = key;
        text.text = value.data();
        guarded([&, this] {
            const auto [png, info] = std::pair(libpng_.png, libpng_.info);
            png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 16,
                         channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                         PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
            png_set_text(png, info, &text, 1);
            png_set_compression_level(png, 3);  // the default takes three times as long and saves a few per cent
            png_write_info(png, info);
            png_set_swap(png);  // PNG holds the high byte first
        });
    }

    void append(const float* values, int count) override {
        auto codes = quantise(values, row_ * static_cast<std::size_t>(count));
        guarded([this, count, &codes] {
            for (int y = 0; y < count; ++y) {
                png_write_row(libpng_.png, reinterpret_cast<png_bytep>(codes.data() + static_cast<std::size_t>(y) * row_));
            }
        });
    }
    void finish() override {
        guarded([this] { png_write_end(libpng_.png, libpng_.info); });
        file_.close();
    }

private:
    struct Libpng {
        png_structp png = nullptr;
        png_infop info = nullptr;
        ~Libpng() { png_destroy_write_struct(&png, &info); }
    };

    [[noreturn]] static void on_error(png_structp png, png_const_charp) {
        static_cast<PngWriter*>(png_get_error_ptr(png))->error_ = errno;
        png_longjmp(png, 1);
    }
    static void on_warning(png_structp, png_const_charp) {}

    /// libpng leaves a failed call by longjmp; `step` may hold no object that has a destructor.
    template <class Step>
    void guarded(Step step) {
        if (setjmp(png_jmpbuf(libpng_.png))) file_.fail(error_);
        step();
    }

    std::FILE* stream_ = file_.stream();
    Libpng libpng_;
    int error_ = 0;
};

std::string suffix_of(const fs::path& path) {
    std::string suffix = path.extension().string();
    std::ranges::transform(suffix, suffix.begin(), [](unsigned char c) { return std::tolower(c); });
    return suffix;
}

}  // namespace

void check_suffix(const fs::path& path) {
    const std::string suffix = suffix_of(path);
    if (suffix != ".tif" && suffix != ".tiff" && suffix != ".png" && suffix != ".f32") {
        throw InputError(path.string() + ": ends in none of .tif, .tiff, .png, .f32; name one");
    }
}

std::unique_ptr<PictureWriter> open_writer(const fs::path& path, int width, int height, int channels,
                                           const std::string& description) {
    check_suffix(path);
    const std::string suffix = suffix_of(path);
    if (suffix == ".png") return std::make_unique<PngWriter>(path, width, height, channels, description);
    if (suffix == ".f32") return std::make_unique<FloatWriter>(path, width, channels);
    return std::make_unique<TiffWriter>(path, width, height, channels, description);
}

}  // namespace priorraw
