#include "self_test.h"

#include <cmath>

#include "clock.h"
#include "error.h"

namespace priorraw {
namespace {

const std::vector<std::string> GOLDEN_TENSORS = {"thumbnail", "tile", "scene", "raw", "reliability"};

/// What a camera's bank and golden file hold, checked.
struct Golden {
    Tensors bank, tensors;

    Golden(const Bundle& bundle, const std::string& camera)
        : bank(bundle.tensors(bundle.bank(camera).file, BANK_TENSORS)),
          tensors(bundle.tensors(bundle.bank(camera).golden, GOLDEN_TENSORS)) {}

    Tensors run(Model& model) {
        Tensors outputs = model.tile({{"tile", tensors["tile"]}, {"scene", tensors["scene"]}});
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
