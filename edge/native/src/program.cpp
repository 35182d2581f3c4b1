#include "program.h"

#include <executorch/extension/data_loader/buffer_data_loader.h>
#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/extension/tensor/tensor_ptr_maker.h>
#include <executorch/runtime/platform/platform.h>

#include <algorithm>

#include "error.h"

// extension/threadpool/threadpool.h is not among the headers of the wheel, its functions are in the library.
namespace executorch::extension::threadpool {
class ThreadPool {
public:
    size_t get_thread_count() const;
    bool _unsafe_reset_threadpool(uint32_t count);  // unsafe while a program runs
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace priorraw {
namespace {
using executorch::aten::ScalarType;
using executorch::extension::BufferDataLoader;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::TensorInfo;

std::string last_error;  // what ExecuTorch said, for our one line

void keep_error(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, size_t, const char* message,
                size_t length) {
    if (level == et_pal_log_level_t::kError || level == et_pal_log_level_t::kFatal) last_error.assign(message, length);
}

const bool quiet = executorch::runtime::register_pal(
    executorch::runtime::PalImpl::create(keep_error, __FILE__));  // it writes many lines to stderr by itself

[[noreturn]] void refuse(const std::string& path, const std::string& what, Error error) {
    std::string reason = last_error.empty() ? "error " + std::to_string(static_cast<int>(error)) : last_error;
    std::ranges::replace(reason, '\n', ' ');
    throw InputError(path + ": ExecuTorch does not " + what + " it (" + reason + "); export the bundle again");
}

bool fits(const executorch::runtime::Result<TensorInfo>& found, const Port& port) {
    return found.ok() && found->scalar_type() == ScalarType::Float &&
           std::ranges::equal(found->sizes(), port.shape);
}

}  // namespace

Program::Program(const Bundle& bundle, const ProgramInfo& info)
    : info_(info),
      path_(bundle.path_of(info.file)),
      bytes_(bundle.checked_bytes(info.file)),
      module_(std::make_unique<BufferDataLoader>(bytes_.data(), bytes_.size())) {
    last_error.clear();
    if (const Error error = module_.load(); error != Error::Ok) refuse(path_, "read", error);
    check_ports();
    if (const Error error = module_.load_forward(); error != Error::Ok) refuse(path_, "load", error);
}

void Program::check_ports() {
    const auto meta = module_.method_meta("forward");
    if (!meta.ok()) refuse(path_, "describe", meta.error());
    bool same = meta->num_inputs() == info_.inputs.size() && meta->num_outputs() == info_.outputs.size();
    for (size_t i = 0; same && i < info_.inputs.size(); ++i) same = fits(meta->input_tensor_meta(i), info_.inputs[i]);
    for (size_t i = 0; same && i < info_.outputs.size(); ++i) {
        same = fits(meta->output_tensor_meta(i), info_.outputs[i]);
    }
    if (!same) throw InputError(path_ + ": takes or gives other tensors than bundle.json says; export the bundle again");
}

Tensors Program::run(const Tensors& inputs) {
    std::vector<executorch::extension::TensorPtr> tensors;
    std::vector<EValue> arguments;
    for (const Port& port : info_.inputs) {
        const auto input = inputs.find(port.name);
        if (input == inputs.end() || input->second.shape != port.shape) {
            const std::string found = input == inputs.end() ? "missing" : to_string(input->second.shape);
            throw InputError(path_ + ": its input " + port.name + " is " + found + ", it takes " +
                             to_string(port.shape) + "; export the bundle again");
        }
        // ExecuTorch takes inputs as void*, and does not write to them.
        auto* values = const_cast<float*>(input->second.values.data());
        tensors.push_back(executorch::extension::from_blob(values, {port.shape.begin(), port.shape.end()}));
        arguments.emplace_back(tensors.back());
    }
    last_error.clear();
    const auto results = module_.forward(arguments);
    if (!results.ok()) refuse(path_, "run", results.error());
    Tensors outputs;
    for (size_t i = 0; i < info_.outputs.size(); ++i) {
        const Port& port = info_.outputs[i];
        const auto& result = (*results)[i].toTensor();
        if (!std::ranges::equal(result.sizes(), port.shape)) {
            throw InputError(path_ + ": gives " + port.name + " another shape than bundle.json says; export it again");
        }
        const float* values = result.const_data_ptr<float>();
        outputs[port.name] = {port.shape, {values, values + count(port.shape)}};
    }
    return outputs;
}

int use_threads(int count) {
    auto* pool = executorch::extension::threadpool::get_threadpool();
    if (count > 0) pool->_unsafe_reset_threadpool(static_cast<uint32_t>(count));
    return static_cast<int>(pool->get_thread_count());
}

}  // namespace priorraw
