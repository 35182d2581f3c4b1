#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace priorraw {

using Bytes = std::vector<unsigned char>;

/// The bytes of a regular file of at most `limit` bytes.
/// Throws InputError, ending in `cure`, when it is missing, no regular file, unreadable or longer.
Bytes read_file(const std::filesystem::path& path, std::uintmax_t limit, const std::string& cure);

/// SHA-256 in lower-case hexadecimal digits.
std::string sha256(const Bytes& bytes);

/// A file that appears whole or not at all: written under a temporary name beside `path`, renamed by `commit`,
/// removed by the destructor of one that was not committed. Every failure is an InputError.
class AtomicFile {
public:
    explicit AtomicFile(std::filesystem::path path);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    std::FILE* stream() { return stream_; }
    void write(const void* data, std::size_t size);
    void close();   // flushes to the disk; what is full or broken shows here
    void commit();  // closes first, if need be
    [[noreturn]] void fail(int error) const;

private:
    std::filesystem::path path_, temporary_;
    std::FILE* stream_ = nullptr;
};

}  // namespace priorraw
