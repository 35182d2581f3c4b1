#pragma once

#include "program.h"

namespace priorraw {

/// The model of a bundle for one camera: a scene part (whole picture, once) and a tile part (pixels).
class Model {
public:
    explicit Model(const Bundle& bundle)
        : scene_(bundle, bundle.scene_program), tile_(bundle, bundle.tile_program) {}

    /// thumbnail (1, 3, S, S) and the bank of a camera to the scene vector.
    Tensor scene(Tensor thumbnail, const Tensors& bank) {
        Tensors inputs = bank;
        inputs["thumbnail"] = std::move(thumbnail);
        return scene_.run(inputs).at("scene");
    }

    /// tile (1, 3, T, T) sRGB and scene, by name, to raw (1, 3, T, T) and reliability (1, 1, T, T), by name.
    Tensors tile(const Tensors& inputs) { return tile_.run(inputs); }

private:
    Program scene_, tile_;
};

/// The tensors of a bank file that the scene program takes beside the thumbnail.
inline const std::vector<std::string> BANK_TENSORS = {"keys", "values", "camera"};

}  // namespace priorraw
