#pragma once

#include <png.h>

#include <string>

#include "files.h"

namespace priorraw {

/// One PNG file as RGB rows of 8 or 16 bits; throws InputError for what is damaged or cannot be shown as sRGB.
class PngReader {
public:
    /// `file` is read until the reader goes; `name` is for errors.
    PngReader(const Bytes& file, std::string name);

    long long width() const { return png_get_image_width(libpng_.png, libpng_.info); }
    long long height() const { return png_get_image_height(libpng_.png, libpng_.info); }

    /// 8 or 16 a sample, whatever the file packs.
    int bits() const { return png_get_bit_depth(libpng_.png, libpng_.info) == 16 ? 16 : 8; }

    /// All rows: (height, width, 3) samples, 16-bit ones with the high byte first.
    Bytes read();

private:
    struct Libpng {
        png_structp png = nullptr;
        png_infop info = nullptr;
        ~Libpng() { png_destroy_read_struct(&png, &info, nullptr); }
    };

    template <class Step>
    void guarded(Step step);
    void check_colours();

    const Bytes& file_;
    std::size_t at_ = 0;
    std::string name_, problem_;
    Libpng libpng_;
};

}  // namespace priorraw
