#include "signature.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "error.h"

namespace priorraw {
namespace {
namespace fs = std::filesystem;

constexpr std::uintmax_t LARGEST_KEY = 1 << 16;
using Key = std::array<unsigned char, crypto_sign_PUBLICKEYBYTES>;

/// RFC 8410: 12 bytes that say Ed25519, then the key.
constexpr std::array<unsigned char, 12> HEAD = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

Key read_key(const fs::path& path) {
    const Bytes bytes = read_file(path, LARGEST_KEY, "name the .pub of: priorraw-edge bundle key");
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    constexpr std::string_view BEGIN = "-----BEGIN PUBLIC KEY-----", END = "-----END PUBLIC KEY-----";
    const std::size_t from = text.find(BEGIN), to = text.find(END);
    if (from != text.npos && to != text.npos && from + BEGIN.size() < to) {
        const std::string_view body = text.substr(from + BEGIN.size(), to - from - BEGIN.size());
        std::array<unsigned char, HEAD.size() + Key().size()> der;
        std::size_t length = 0;
        const int failed = sodium_base642bin(der.data(), der.size(), body.data(), body.size(), "\r\n", &length, nullptr,
                                             sodium_base64_VARIANT_ORIGINAL);
        if (!failed && length == der.size() && std::ranges::equal(HEAD, std::span(der).first(HEAD.size()))) {
            Key key;
            std::copy(der.begin() + HEAD.size(), der.end(), key.begin());
            return key;
        }
    }
    throw InputError(path.string() + ": no Ed25519 public key in PEM; name the .pub of: priorraw-edge bundle key");
}

}  // namespace

void check_signature(const fs::path& folder, const Bytes& text, const fs::path& public_key) {
    const Key key = read_key(public_key);
    const fs::path path = folder / "bundle.sig";
    if (!fs::is_regular_file(path)) {
        throw InputError(folder.string() + ": is not signed (holds no bundle.sig); sign it with: priorraw-edge bundle sign");
    }
    const Bytes signature = read_file(path, crypto_sign_BYTES, "sign the bundle again");
    if (signature.size() != crypto_sign_BYTES ||
        crypto_sign_verify_detached(signature.data(), text.data(), text.size(), key.data()) != 0) {
        throw InputError(folder.string() + ": was not signed with the key of " + public_key.string() +
                         ", or altered; take it anew");
    }
}

}  // namespace priorraw
