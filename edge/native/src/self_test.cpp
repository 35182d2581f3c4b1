#include "self_test.h"

#include <cmath>

#include "clock.h"
#include "error.h"

namespace priorraw {
namespace {

// The layout of a golden file is that of edge/priorraw_edge/export/golden_file.py.
const std::vector<std::string> GOLDEN_TENSORS = {"thumbnail", "patch", "scene", "raw", "reliability"};
constexpr int FIRST = 3, STEP = 7;  // rows and columns of a tile that the golden outputs hold

/// The tile that repeats a patch of 8-bit codes (1, C, P, P).
Tensor tile_of(const Tensor& patch, int side) {
    const int channels = patch.shape.at(1), own = patch.shape.at(3);
    Tensor tile{{1, channels, side, side}, {}};
    tile.values.reserve(count(tile.shape));
    for (int c = 0; c < channels; ++c) {
        for (int y = 0; y < side; ++y) {
            const float* row = patch.values.data() + (static_cast<std::size_t>(c) * own + y % own) * own;
            for (int x = 0; x < side; ++x) tile.values.push_back(row[x % own] / 255);
        }
    }
    return tile;
}

/// What a golden file holds of a picture (1, C, T, T).
Tensor sampled(const Tensor& picture) {
    const int channels = picture.shape.at(1), side = picture.shape.at(3), n = (side - FIRST + STEP - 1) / STEP;
    Tensor samples{{1, channels, n, n}, {}};
    samples.values.reserve(count(samples.shape));
    for (int c = 0; c < channels; ++c) {
        for (int y = FIRST; y < side; y += STEP) {
            const float* row = picture.values.data() + (static_cast<std::size_t>(c) * side + y) * side;
            for (int x = FIRST; x < side; x += STEP) samples.values.push_back(row[x]);
        }
    }
    return samples;
}

/// What a camera's bank and golden file hold, checked.
struct Golden {
    Tensors bank, tensors;

    Golden(const Bundle& bundle, const std::string& camera)
        : bank(bundle.tensors(bundle.bank(camera).file, BANK_TENSORS)),
          tensors(bundle.tensors(bundle.bank(camera).golden, GOLDEN_TENSORS)) {
        const Shape shape = tensors["patch"].shape;
        if (shape.size() != 4 || shape[3] < 1 || shape[2] != shape[3]) {
            throw InputError(bundle.path_of(bundle.bank(camera).golden) + ": a patch of " + to_string(shape) +
                             "; export the bundle again");
        }
        tensors["tile"] = tile_of(tensors["patch"], bundle.tile);
    }

    Tensors run(Model& model) {
        Tensors outputs = model.tile({{"tile", tensors["tile"]}, {"scene", tensors["scene"]}});
        for (const char* name : {"raw", "reliability"}) outputs[name] = sampled(outputs.at(name));
        outputs["scene"] = model.scene(tensors["thumbnail"], bank);
        return outputs;
    }
};

Comparison compare(const std::string& camera, const std::string& output, const Tensor& found, const Tensor& expected,
                   double bound) {
    double largest = 0, squares = 0;
    for (std::size_t i = 0; i < found.values.size(); ++i) {
        const double error = std::abs(static_cast<double>(found.values[i]) - expected.values[i]);
        if (!(error <= largest)) largest = error;
        squares += error * error;
    }
    Comparison comparison{camera, output, largest, std::nullopt, bound};
    if (squares != 0) comparison.psnr = -10 * std::log10(squares / static_cast<double>(found.values.size()));
    return comparison;
}

}  // namespace

std::vector<Comparison> compare_with_golden(const Bundle& bundle, Model& model, const std::string& camera) {
    Golden golden(bundle, camera);
    const Tensors outputs = golden.run(model);
    std::vector<Comparison> comparisons;
    for (const char* name : {"scene", "raw", "reliability"}) {
        const Tensor &found = outputs.at(name), &expected = golden.tensors.at(name);
        if (found.shape != expected.shape) {
            throw InputError(bundle.path_of(bundle.bank(camera).golden) + ": its " + name + " is " +
                             to_string(expected.shape) + ", not " + to_string(found.shape) +
                             "; export the bundle again");
        }
        comparisons.push_back(compare(camera, name, found, expected, bundle.bounds.at(name)));
    }
    return comparisons;
}

Bench bench(const Bundle& bundle, Model& model, int rounds) {
    Golden golden(bundle, bundle.camera);
    const Tensors inputs = {{"tile", golden.tensors["tile"]}, {"scene", golden.tensors["scene"]}};
    std::vector<double> scene, tile;
    golden.run(model);
    for (int i = 0; i < rounds; ++i) {
        scene.push_back(milliseconds([&] { model.scene(golden.tensors["thumbnail"], golden.bank); }));
        tile.push_back(milliseconds([&] { model.tile(inputs); }));
    }
    return {rounds, median(scene), median(tile)};
}

}  // namespace priorraw
