#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "bundle.h"
#include "model.h"
#include "picture.h"

namespace priorraw {

/// What a reconstruction took; times in milliseconds.
struct Cost {
    int tiles = 0;
    double scene = 0;
    double tile = 0;  // median
};

/// Takes finished rows, top to bottom: `count` rows of raw-RGB (count, width, 3) and reliability (count, width).
using TakeRows = std::function<void(const float* raw, const float* reliability, int count)>;

/// Rebuild the raw-RGB picture behind an sRGB picture: scene once, tiles in turn. Only one row of tiles of the result
/// is held at a time. Throws InputError when the model gives NaN or infinity.
Cost reconstruct(const Bundle& bundle, Model& model, const Tensors& bank, const Picture& picture, const TakeRows& take);

}  // namespace priorraw
