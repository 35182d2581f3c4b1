#pragma once

#include <executorch/extension/module/module.h>

#include "bundle.h"

namespace priorraw {

/// A lowered program of a bundle, checked and loaded by ExecuTorch.
class Program {
public:
    /// Throws InputError when its bytes are not those exported, ExecuTorch does not load them, or they take or give
    /// something else than bundle.json says.
    Program(const Bundle& bundle, const ProgramInfo& info);

    /// Run it on inputs by name; returns its outputs, copied.
    /// Throws InputError when an input is missing or of another shape, or ExecuTorch fails.
    Tensors run(const Tensors& inputs);

private:
    void check_ports();

    ProgramInfo info_;
    std::string path_;
    Bytes bytes_;  // the loaded program reads from them
    executorch::extension::Module module_;
};

/// Threads that programs run on from now; 0 leaves it to ExecuTorch, which takes one a core. Returns their number.
int use_threads(int count);

}  // namespace priorraw
