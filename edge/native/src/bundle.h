#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tensors.h"

namespace priorraw {

/// An input or output of a program; float32, contiguous.
struct Port {
    std::string name;
    Shape shape;
};

/// A program as bundle.json describes it; inputs and outputs in the order of the arguments.
struct ProgramInfo {
    std::string file;
    std::vector<Port> inputs, outputs;
};

/// What holds for one camera: its bank, and golden inputs with PyTorch's outputs.
struct BankInfo {
    std::string file, golden;
};

/// A bundle folder of format 4 for XNNPACK, as `priorraw-edge export --target xnnpack` writes it.
///
/// Everything in it is refused unless size and SHA-256 are what bundle.json says, and the bytes that were checked
/// are those that the caller gets. The constructor throws InputError for a folder that is no such bundle.
class Bundle {
public:
    /// `public_key`: the key that must have signed the bundle; empty asks for no signature.
    explicit Bundle(std::filesystem::path folder, const std::filesystem::path& public_key = {});

    int tile = 0;       // side of a tile, pixels
    int halo = 0;       // pixels on each side of a tile that do not count
    int align = 0;      // tile origins are multiples of it
    int thumbnail = 0;  // side of the scene program's picture, pixels
    std::string precision;  // fp32 or int8
    std::string camera;     // the default one
    ProgramInfo scene_program, tile_program;
    std::map<std::string, BankInfo> banks;     // by camera
    std::map<std::string, double> bounds;      // least PSNR (dB) of an output against PyTorch

    /// The bank of a camera, by default the bundle's. Throws InputError when there is none.
    const BankInfo& bank(const std::string& camera) const;

    /// The bytes of a file of the bundle. Throws InputError unless they are those that were exported.
    Bytes checked_bytes(const std::string& name) const;

    /// Compare every file with its hash, used or not: a bundle that was altered anywhere is not to be trusted.
    void check_all() const;

    /// The tensors of a file of the bundle, of which `needed` must be there.
    Tensors tensors(const std::string& name, const std::vector<std::string>& needed) const;

    std::string path_of(const std::string& name) const { return (folder_ / name).string(); }

private:
    struct File {
        std::string sha256;
        std::uintmax_t size;
    };

    void read_manifest(const nlohmann::json& manifest);
    void check_programs() const;

    std::filesystem::path folder_;
    std::map<std::string, File> files_;
};

}  // namespace priorraw
