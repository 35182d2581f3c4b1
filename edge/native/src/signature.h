#pragma once

#include <filesystem>

#include "files.h"

namespace priorraw {

/// Whether `text`, the bytes of bundle.json, was signed with the private key of `public_key`: Ed25519, bundle.sig in the
/// folder, the key as SubjectPublicKeyInfo in PEM. Throws InputError when it was not, or when there is no such key.
void check_signature(const std::filesystem::path& folder, const Bytes& text, const std::filesystem::path& public_key);

}  // namespace priorraw
