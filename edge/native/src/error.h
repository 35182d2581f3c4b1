#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>

namespace priorraw {

/// `text` with each control character as a space: what a damaged file says of itself stays on one line.
inline std::string one_line(std::string text) {
    const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    std::replace_if(text.begin(), text.end(), control, ' ');
    return text;
}

/// What the caller can cure: one line that names the file or option, what is wrong and what to do. Exit code 2.
class InputError : public std::runtime_error {
public:
    explicit InputError(const std::string& line) : std::runtime_error(one_line(line)) {}
};

}  // namespace priorraw
