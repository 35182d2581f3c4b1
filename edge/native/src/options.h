#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "picture.h"

namespace priorraw {

struct Options {
    bool help = false, version = false, self_test = false, bench = false, json = false;
    std::filesystem::path bundle, picture, out, public_key;
    std::optional<std::filesystem::path> reliability;
    std::optional<Size> size;
    std::string camera;  // empty: the bundle's default, or all in a self-test
    int threads = 0;     // 0: one a core
};

extern const char* const USAGE;

/// Throws InputError for a call that makes no sense.
Options parse_options(int count, char** arguments);

}  // namespace priorraw
