#include "tensors.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>

#include "error.h"

namespace priorraw {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors holds little-endian numbers");
constexpr std::uint64_t LENGTH_FIELD = 8;     // bytes before the header
constexpr std::uint64_t LARGEST_SIDE = 1 << 24;
constexpr std::uint64_t LARGEST_TENSOR = 1 << 28;  // elements: 1 GB, far above any bank

Shape read_shape(const Json& sides) {
    Shape shape;
    std::uint64_t elements = 1;
    for (const Json& side : sides) {
        const auto length = side.get<std::uint64_t>();
        if (!side.is_number_unsigned() || length > LARGEST_SIDE) throw InputError("a side of " + side.dump());
        elements *= length;  // at most 2^28 times 2^24
        if (elements > LARGEST_TENSOR) throw InputError("a shape of " + sides.dump());
        shape.push_back(static_cast<int>(length));
    }
    return shape;
}

Tensor read_tensor(const Json& entry, const unsigned char* data, std::uint64_t size) {
    const Json& dtype = entry.at("dtype");
    if (dtype != "F32" && dtype != "U8") throw InputError("dtype " + dtype.dump() + " where F32 or U8 is needed");
    Tensor tensor{read_shape(entry.at("shape")), {}};
    const Json& offsets = entry.at("data_offsets");
    if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) {
        throw InputError("offsets " + offsets.dump());
    }
    const auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
    tensor.values.resize(count(tensor.shape));
    const std::uint64_t needed = tensor.values.size() * (dtype == "F32" ? sizeof(float) : 1);
    if (begin > end || end > size || end - begin != needed) {
        throw InputError("offsets " + offsets.dump() + " for " + std::to_string(needed) + " of " +
                         std::to_string(size) + " bytes");
    }
    if (dtype == "U8") {
        std::copy(data + begin, data + end, tensor.values.begin());
    } else if (needed) {
        std::memcpy(tensor.values.data(), data + begin, needed);
    }
    return tensor;
}

}  // namespace

std::string to_string(const Shape& shape) {
    std::string text;
    for (const int side : shape) {
        if (!text.empty()) text += 'x';
        text += std::to_string(side);
    }
    return text;
}

std::size_t count(const Shape& shape) {
    std::size_t product = 1;
    for (const int side : shape) product *= static_cast<std::size_t>(side);
    return product;
}

Tensors parse_safetensors(const Bytes& bytes, const std::string& name) {
    try {
        std::uint64_t length = 0;
        if (bytes.size() < LENGTH_FIELD) throw InputError("ends before its header");
        std::memcpy(&length, bytes.data(), LENGTH_FIELD);
        if (length > bytes.size() - LENGTH_FIELD) throw InputError("ends inside its header");
        const unsigned char* header = bytes.data() + LENGTH_FIELD;
        const Json entries = Json::parse(header, header + length);
        if (!entries.is_object()) throw InputError("its header is no object");
        Tensors tensors;
        for (const auto& [key, entry] : entries.items()) {
            if (key == "__metadata__") continue;
            tensors[key] = read_tensor(entry, header + length, bytes.size() - LENGTH_FIELD - length);
        }
        return tensors;
    } catch (const InputError& error) {
        throw InputError(name + ": no sound safetensors file (" + error.what() + "); export the bundle again");
    } catch (const Json::exception&) {
        throw InputError(name + ": no sound safetensors file (its header is no such JSON); export the bundle again");
    }
}

}  // namespace priorraw
