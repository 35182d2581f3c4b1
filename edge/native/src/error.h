#pragma once

#include <stdexcept>

namespace priorraw {

/// What the caller can cure: one line that names the file or option, what is wrong and what to do. Exit code 2.
class InputError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace priorraw
