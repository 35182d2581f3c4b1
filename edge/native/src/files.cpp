#include "files.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "error.h"

namespace priorraw {
namespace fs = std::filesystem;

Bytes read_file(const fs::path& path, std::uintmax_t limit, const std::string& cure) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (!fs::exists(status)) throw InputError(path.string() + ": not there; " + cure);
    if (!fs::is_regular_file(status)) throw InputError(path.string() + ": no file; " + cure);
    const std::uintmax_t size = fs::file_size(path, error);
    if (error) throw InputError(path.string() + ": not readable (" + error.message() + "); " + cure);
    if (size > limit) {
        throw InputError(path.string() + ": has " + std::to_string(size) + " bytes, more than " +
                         std::to_string(limit) + "; " + cure);
    }
    Bytes bytes(size);
    std::ifstream file(path, std::ios::binary);
    if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
        throw InputError(path.string() + ": not readable (" + std::strerror(errno) + "); " + cure);
    }
    return bytes;
}

std::string sha256(const Bytes& bytes) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, bytes.data(), bytes.size());
    char hex[2 * sizeof digest + 1];
    return sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
    if (fs::is_directory(path_)) throw InputError(path_.string() + ": is a folder; name a file to write");
    const fs::path folder = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
    std::string name = folder / ".";
    name += path_.filename().string() + ".XXXXXX";
    const int handle = mkstemp(name.data());
    if (handle < 0) fail(errno);
    temporary_ = name;
    fchmod(handle, 0644);
    stream_ = fdopen(handle, "wb");
    if (!stream_) fail(errno);
}

AtomicFile::~AtomicFile() {
    if (stream_) std::fclose(stream_);
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove(temporary_, ignored);
}

void AtomicFile::write(const void* data, std::size_t size) {
    if (std::fwrite(data, 1, size, stream_) != size) fail(errno);
}

void AtomicFile::close() {
    std::FILE* stream = stream_;
    stream_ = nullptr;
    if (stream && (std::fflush(stream) | fsync(fileno(stream)) | std::fclose(stream)) != 0) fail(errno);
}

void AtomicFile::commit() {
    close();
    std::error_code error;
    fs::rename(temporary_, path_, error);
    if (error) fail(error.value());
    temporary_.clear();
}

void AtomicFile::fail(int error) const {
    throw InputError(path_.string() + ": cannot be written (" + std::strerror(error) + "); choose another place");
}

}  // namespace priorraw
