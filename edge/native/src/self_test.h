#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bundle.h"
#include "model.h"

namespace priorraw {

/// One output of one program with one camera's bank, against what PyTorch gave.
struct Comparison {
    std::string camera, output;
    double max_error;
    std::optional<double> psnr;  // dB, data range 1; none: no difference at all
    double bound;                // dB

    /// NaN must fail.
    bool passed() const { return max_error < 1e30 && (!psnr || *psnr >= bound); }
};

/// Run both programs on the golden inputs of a camera and compare with its golden outputs.
/// Throws InputError when a golden file is damaged or does not fit.
std::vector<Comparison> compare_with_golden(const Bundle& bundle, Model& model, const std::string& camera);

/// Median milliseconds of `rounds` runs after one that warms up.
struct Bench {
    int rounds;
    double scene, tile;
};

Bench bench(const Bundle& bundle, Model& model, int rounds);

}  // namespace priorraw
