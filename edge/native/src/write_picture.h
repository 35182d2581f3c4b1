#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "files.h"

namespace priorraw {

/// Writes a picture of known size from top to bottom; it appears whole at `commit` or not at all.
class PictureWriter {
public:
    virtual ~PictureWriter() = default;

    /// Append `count` rows (count, width, channels) of values in [0, 1].
    virtual void append(const float* values, int count) = 0;

    /// Nothing is left to write; a full disk shows here at the latest.
    virtual void finish() = 0;

    void commit() { file_.commit(); }

protected:
    PictureWriter(const std::filesystem::path& path, int width, int channels)
        : file_(path), row_(static_cast<std::size_t>(width) * static_cast<std::size_t>(channels)) {}

    AtomicFile file_;
    std::size_t row_;  // values a row
};

/// A writer for the format that the suffix tells: .tif, .tiff and .png hold 16-bit codes, 65535 = 1; .f32 holds
/// little-endian float32 as they come.
/// Throws InputError for another suffix or a place that cannot be written.
std::unique_ptr<PictureWriter> open_writer(const std::filesystem::path& path, int width, int height, int channels,
                                           const std::string& description);

/// Throws InputError unless `open_writer` knows the suffix.
void check_suffix(const std::filesystem::path& path);

}  // namespace priorraw
