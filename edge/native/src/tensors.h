#pragma once

#include <map>
#include <string>
#include <vector>

#include "files.h"

namespace priorraw {

using Shape = std::vector<int>;

/// A float32 tensor, contiguous in row-major order.
struct Tensor {
    Shape shape;
    std::vector<float> values;
};

using Tensors = std::map<std::string, Tensor>;

/// "1x3x64x64".
std::string to_string(const Shape& shape);

/// The product of the sides.
std::size_t count(const Shape& shape);

/// The tensors of a safetensors file, every offset checked against the file before it is used; uint8 becomes float.
/// Throws InputError, naming `name`, for anything but well-formed float32 and uint8 tensors.
/// Source: https://huggingface.co/docs/safetensors, "Format".
Tensors parse_safetensors(const Bytes& bytes, const std::string& name);

}  // namespace priorraw
