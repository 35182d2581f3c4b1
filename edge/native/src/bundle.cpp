#include "bundle.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "error.h"
#include "signature.h"
#include "tiles.h"

namespace priorraw {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int FORMAT = 4;
constexpr std::uintmax_t LARGEST_MANIFEST = 16 << 20;
constexpr int LARGEST_TILE = 4096;
const std::string CURE = "export the bundle again";

int whole(const Json& object, const char* key, int least, int most) {
    const Json& value = object.at(key);
    if (!value.is_number_integer() || value < least || value > most) {
        throw InputError(std::string(key) + " is " + value.dump());
    }
    return value.get<int>();
}

std::vector<Port> ports(const Json& entries) {
    std::vector<Port> list;
    for (const Json& entry : entries) {
        if (entry.at("dtype") != "float32") throw InputError("an input of dtype " + entry.at("dtype").dump());
        Port port{entry.at("name").get<std::string>(), {}};
        for (const Json& side : entry.at("shape")) {
            if (!side.is_number_integer() || side < 1 || side > 1 << 20) throw InputError("a side of " + side.dump());
            port.shape.push_back(side.get<int>());
        }
        list.push_back(std::move(port));
    }
    return list;
}

ProgramInfo program(const Json& entry) {
    return {entry.at("file").get<std::string>(), ports(entry.at("inputs")), ports(entry.at("outputs"))};
}

void expect(const std::vector<Port>& ports, const char* name, const Shape& shape) {
    for (const Port& port : ports) {
        if (port.name == name && port.shape == shape) return;
    }
    throw InputError("no program port " + std::string(name) + " of " + to_string(shape));
}

/// A plain relative path downward; symbolic links may not lead out either.
bool stays_inside(const fs::path& folder, const std::string& name) {
    const fs::path relative(name);
    if (name.empty() || relative.is_absolute()) return false;
    for (const fs::path& part : relative) {
        if (part == "..") return false;
    }
    std::error_code error;
    const fs::path from = fs::weakly_canonical(folder, error);
    const fs::path to = fs::weakly_canonical(folder / relative, error).lexically_relative(from);
    return !error && !to.empty() && *to.begin() != "..";
}

/// Whether bundle.json is as it was written: it has the SHA-256 of itself with 64 zeros in the place of that hash.
bool is_sealed(Bytes text) {
    constexpr std::string_view SEAL = "\"manifest_sha256\": \"";
    const auto found = std::ranges::search(text, SEAL).end();
    if (text.end() - found < 64) return false;
    const std::string hash(found, found + 64);
    std::fill(found, found + 64, '0');
    return sha256(text) == hash;
}

}  // namespace

Bundle::Bundle(fs::path folder, const fs::path& public_key) : folder_(std::move(folder)) {
    const fs::path path = folder_ / "bundle.json";
    if (!fs::is_regular_file(path)) {
        throw InputError(folder_.string() + ": no bundle (holds no bundle.json); make one with: priorraw-edge export");
    }
    const Bytes text = read_file(path, LARGEST_MANIFEST, CURE);
    if (!public_key.empty()) check_signature(folder_, text, public_key);
    const Json manifest = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!manifest.is_object()) throw InputError(path.string() + ": damaged (no JSON object); " + CURE);
    if (const Json format = manifest.value("format", Json()); format != FORMAT) {
        throw InputError(path.string() + ": format " + format.dump() + ", this program reads " +
                         std::to_string(FORMAT) + "; " + CURE);
    }
    if (!is_sealed(text)) {
        throw InputError(path.string() + ": was altered (differs from the sha256 that it holds of itself); " + CURE);
    }
    if (const Json target = manifest.value("target", Json()); target != "xnnpack") {
        throw InputError(path.string() + ": target " + target.dump() + " does not run here; export --target xnnpack");
    }
    try {
        read_manifest(manifest);
        check_programs();
    } catch (const InputError& error) {
        throw InputError(path.string() + ": does not fit (" + error.what() + "); " + CURE);
    } catch (const Json::exception& error) {
        const std::string what = error.what();  // "[json.exception.out_of_range.403] key 'tile' not found"
        throw InputError(path.string() + ": incomplete (" + what.substr(what.find("] ") + 2) + "); " + CURE);
    }
}

void Bundle::read_manifest(const Json& manifest) {
    tile = whole(manifest, "tile", 1, LARGEST_TILE);
    halo = whole(manifest, "halo", 0, LARGEST_TILE);
    align = whole(manifest, "align", 1, LARGEST_TILE);
    thumbnail = whole(manifest, "thumbnail", 1, LARGEST_TILE);
    precision = manifest.at("precision").get<std::string>();
    if (precision != "fp32" && precision != "int8") throw InputError("precision " + precision);
    scene_program = program(manifest.at("programs").at("scene"));
    tile_program = program(manifest.at("programs").at("tile"));
    for (const auto& [name, entry] : manifest.at("banks").items()) {
        banks[name] = {entry.at("file").get<std::string>(), entry.at("golden").get<std::string>()};
    }
    camera = manifest.at("camera").get<std::string>();
    if (!banks.contains(camera)) throw InputError("no bank of its camera " + camera);
    for (const auto& [name, hash] : manifest.at("files").items()) {
        files_[name] = {hash.get<std::string>(), manifest.at("bytes").at(name).get<std::uintmax_t>()};
    }
    const bool fp32 = precision == "fp32";
    const double least = fp32 ? 100 : 50;
    // Those of verify/stages.py; seen: docs/native.md.
    bounds = {{"scene", least}, {"raw", least}, {"reliability", fp32 ? 100 : 35}};
}

void Bundle::check_programs() const {
    plan_axis(1, tile, halo, align);  // refuses a tile without a core
    expect(scene_program.inputs, "thumbnail", {1, 3, thumbnail, thumbnail});
    expect(tile_program.inputs, "tile", {1, 3, tile, tile});
    expect(tile_program.outputs, "raw", {1, 3, tile, tile});
    expect(tile_program.outputs, "reliability", {1, 1, tile, tile});
    if (scene_program.outputs.size() != 1) throw InputError("a scene program of several outputs");
    expect(scene_program.outputs, "scene", scene_program.outputs[0].shape);
    expect(tile_program.inputs, "scene", scene_program.outputs[0].shape);
}

const BankInfo& Bundle::bank(const std::string& name) const {
    const auto found = banks.find(name.empty() ? camera : name);
    if (found != banks.end()) return found->second;
    std::string known;
    for (const auto& [other, bank] : banks) known += (known.empty() ? "" : ", ") + other;
    throw InputError(folder_.string() + ": holds no bank of " + name + "; it has " + known);
}

Bytes Bundle::checked_bytes(const std::string& name) const {
    const std::string manifest = path_of("bundle.json");
    if (!stays_inside(folder_, name)) {
        throw InputError(manifest + ": names " + name + ", outside the bundle; " + CURE);
    }
    const auto file = files_.find(name);
    if (file == files_.end()) throw InputError(manifest + ": lists no sha256 of " + name + "; " + CURE);
    Bytes bytes = read_file(path_of(name), file->second.size, CURE);
    if (bytes.size() != file->second.size) {
        throw InputError(path_of(name) + ": has " + std::to_string(bytes.size()) + " bytes, not " +
                         std::to_string(file->second.size) + "; " + CURE);
    }
    if (sha256(bytes) != file->second.sha256) {
        throw InputError(path_of(name) + ": differs from the sha256 in bundle.json; " + CURE);
    }
    return bytes;
}

void Bundle::check_all() const {
    for (const auto& [name, file] : files_) checked_bytes(name);
}

Tensors Bundle::tensors(const std::string& name, const std::vector<std::string>& needed) const {
    Tensors found = parse_safetensors(checked_bytes(name), path_of(name));
    for (const std::string& tensor : needed) {
        if (!found.contains(tensor)) throw InputError(path_of(name) + ": lacks " + tensor + "; " + CURE);
    }
    return found;
}

}  // namespace priorraw
