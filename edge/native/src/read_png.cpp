#include "read_png.h"

#include <csetjmp>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "error.h"

namespace priorraw {
namespace {

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
    *static_cast<std::string*>(png_get_error_ptr(png)) = message;
    png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

/// Profiles name themselves in ASCII (ICC version 2) or UTF-16 (version 4).
bool says_srgb(std::string_view profile) {
    using namespace std::string_view_literals;
    return profile.find("sRGB"sv) != profile.npos || profile.find("s\0R\0G\0B"sv) != profile.npos;
}

}  // namespace

/// Run a step that calls libpng. It leaves a failed call by longjmp, which must not jump over destructors: `step`
/// may hold no object that has one.
template <class Step>
void PngReader::guarded(Step step) {
    if (setjmp(png_jmpbuf(libpng_.png))) throw InputError(name_ + ": damaged (" + problem_ + "); save it again");
    step();
}

PngReader::PngReader(const Bytes& file, std::string name) : file_(file), name_(std::move(name)) {
    libpng_.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &problem_, on_error, on_warning);
    libpng_.info = libpng_.png ? png_create_info_struct(libpng_.png) : nullptr;
    if (!libpng_.info) throw std::bad_alloc();
    png_set_read_fn(libpng_.png, this, [](png_structp png, png_bytep out, size_t size) {
        auto& self = *static_cast<PngReader*>(png_get_io_ptr(png));
        if (size > self.file_.size() - self.at_) png_error(png, "ends too early");
        std::memcpy(out, self.file_.data() + self.at_, size);
        self.at_ += size;
    });
    guarded([this] { png_read_info(libpng_.png, libpng_.info); });
    check_colours();
}

void PngReader::check_colours() {
    const auto [png, info] = std::pair(libpng_.png, libpng_.info);
    if (png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA || png_get_valid(png, info, PNG_INFO_tRNS)) {
        throw InputError(name_ + ": has transparency; save it without alpha, laid on white");
    }
    png_charp title = nullptr;
    png_bytep profile = nullptr;
    png_uint_32 length = 0;
    int method = 0;
    if (!png_get_valid(png, info, PNG_INFO_sRGB) && png_get_iCCP(png, info, &title, &method, &profile, &length) &&
        !says_srgb({reinterpret_cast<const char*>(profile), length})) {
        throw InputError(name_ + ": has a colour profile other than sRGB; convert it to sRGB");
    }
}

Bytes PngReader::read() {
    const std::size_t stride = 3 * static_cast<std::size_t>(width()) * (bits() / 8);
    Bytes samples(stride * static_cast<std::size_t>(height()));
    std::vector<png_bytep> rows;
    for (std::size_t at = 0; at < samples.size(); at += stride) rows.push_back(samples.data() + at);
    guarded([this, stride, &rows] {
        const auto [png, info] = std::pair(libpng_.png, libpng_.info);
        png_set_expand(png);  // palettes to colours, 1, 2 and 4 bits to 8
        png_set_gray_to_rgb(png);
        png_set_interlace_handling(png);
        png_read_update_info(png, info);
        if (png_get_rowbytes(png, info) != stride) png_error(png, "rows of an unknown layout");
        png_read_image(png, rows.data());
        png_read_end(png, nullptr);
    });
    return samples;
}

}  // namespace priorraw
