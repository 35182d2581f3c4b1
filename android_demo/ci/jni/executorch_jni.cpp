// ExecuTorch's Java classes on a desktop: their native methods over the libraries of the executorch wheel.
// The Android library does the same through fbjni; only what the app calls is here.

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/extension/tensor/tensor_ptr_maker.h>
#include <executorch/runtime/platform/platform.h>
#include <jni.h>

#include <memory>
#include <string>
#include <vector>

// extension/threadpool/threadpool.h is not among the headers of the wheel, its functions are in the library.
namespace executorch::extension::threadpool {
class ThreadPool {
public:
    size_t get_thread_count() const;
    bool _unsafe_reset_threadpool(uint32_t count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace {
using executorch::aten::ScalarType;
using executorch::extension::Module;
using executorch::runtime::Error;
using executorch::runtime::EValue;

constexpr int FLOAT = 6;  // DType.FLOAT.jniCode
std::string last_error;

void keep_error(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, size_t, const char* message,
                size_t length) {
    if (level == et_pal_log_level_t::kError || level == et_pal_log_level_t::kFatal) last_error.assign(message, length);
}

const bool quiet = executorch::runtime::register_pal(executorch::runtime::PalImpl::create(keep_error, __FILE__));

void raise(JNIEnv* env, const std::string& what, Error error) {
    const std::string reason = what + ": error " + std::to_string(static_cast<int>(error)) + " " + last_error;
    env->ThrowNew(env->FindClass("java/lang/RuntimeException"), reason.c_str());
}

std::string text(JNIEnv* env, jstring value) {
    const char* chars = env->GetStringUTFChars(value, nullptr);
    std::string copy = chars;
    env->ReleaseStringUTFChars(value, chars);
    return copy;
}

Module& module_of(JNIEnv* env, jobject self) {
    const jfieldID field = env->GetFieldID(env->GetObjectClass(self), "mHybridData", "Lcom/facebook/jni/HybridData;");
    const jobject data = env->GetObjectField(self, field);
    const jmethodID pointer = env->GetMethodID(env->GetObjectClass(data), "pointer", "()J");
    return *reinterpret_cast<Module*>(env->CallLongMethod(data, pointer));
}

jobjectArray strings(JNIEnv* env, const std::vector<std::string>& values) {
    const auto size = static_cast<jsize>(values.size());
    const jobjectArray array = env->NewObjectArray(size, env->FindClass("java/lang/String"), nullptr);
    for (jsize i = 0; i < size; ++i) env->SetObjectArrayElement(array, i, env->NewStringUTF(values[i].c_str()));
    return array;
}

/// The tensor in a Java EValue, which keeps the buffer that the result reads from. Null with a Java exception pending.
executorch::extension::TensorPtr tensor_in(JNIEnv* env, jobject value) {
    const jclass tensor_class = env->FindClass("org/pytorch/executorch/Tensor");
    const jobject tensor = env->CallObjectMethod(
        value, env->GetMethodID(env->GetObjectClass(value), "toTensor", "()Lorg/pytorch/executorch/Tensor;"));
    if (env->ExceptionCheck()) return nullptr;
    const auto shape = static_cast<jlongArray>(
        env->CallObjectMethod(tensor, env->GetMethodID(tensor_class, "shape", "()[J")));
    std::vector<jlong> longs(static_cast<size_t>(env->GetArrayLength(shape)));
    env->GetLongArrayRegion(shape, 0, static_cast<jsize>(longs.size()), longs.data());
    const jobject buffer = env->CallObjectMethod(
        tensor, env->GetMethodID(tensor_class, "getRawDataBuffer", "()Ljava/nio/Buffer;"));
    void* address = env->GetDirectBufferAddress(buffer);
    if (!address || env->CallIntMethod(tensor, env->GetMethodID(tensor_class, "dtypeJniCode", "()I")) != FLOAT) {
        env->ThrowNew(env->FindClass("java/lang/IllegalArgumentException"), "not a direct buffer of floats");
        return nullptr;
    }
    return executorch::extension::from_blob(address, {longs.begin(), longs.end()}, ScalarType::Float);
}

/// A Java EValue that owns a copy of a result.
jobject copied(JNIEnv* env, const EValue& value) {
    const auto& tensor = value.toTensor();
    const auto bytes = static_cast<jint>(tensor.nbytes());
    const jclass tensor_class = env->FindClass("org/pytorch/executorch/Tensor");
    const jobject buffer = env->CallStaticObjectMethod(
        tensor_class, env->GetStaticMethodID(tensor_class, "allocateByteBuffer", "(I)Ljava/nio/ByteBuffer;"), bytes);
    if (env->ExceptionCheck()) return nullptr;
    std::memcpy(env->GetDirectBufferAddress(buffer), tensor.const_data_ptr(), tensor.nbytes());
    const std::vector<jlong> sides(tensor.sizes().begin(), tensor.sizes().end());
    const jlongArray shape = env->NewLongArray(static_cast<jsize>(sides.size()));
    env->SetLongArrayRegion(shape, 0, static_cast<jsize>(sides.size()), sides.data());
    const jobject java_tensor = env->CallStaticObjectMethod(
        tensor_class,
        env->GetStaticMethodID(tensor_class, "nativeNewTensor",
                               "(Ljava/nio/ByteBuffer;[JILcom/facebook/jni/HybridData;)Lorg/pytorch/executorch/Tensor;"),
        buffer, shape, FLOAT, nullptr);
    const jclass value_class = env->FindClass("org/pytorch/executorch/EValue");
    return env->CallStaticObjectMethod(
        value_class,
        env->GetStaticMethodID(value_class, "from", "(Lorg/pytorch/executorch/Tensor;)Lorg/pytorch/executorch/EValue;"),
        java_tensor);
}

}  // namespace

extern "C" {

JNIEXPORT jobject JNICALL Java_org_pytorch_executorch_Module_initHybrid(JNIEnv* env, jclass, jstring path, jint,
                                                                        jint threads) {
    if (threads > 0) {
        auto* pool = executorch::extension::threadpool::get_threadpool();
        if (pool->get_thread_count() != static_cast<size_t>(threads)) {
            pool->_unsafe_reset_threadpool(static_cast<uint32_t>(threads));
        }
    }
    auto module = std::make_unique<Module>(text(env, path), Module::LoadMode::File);
    last_error.clear();
    if (const Error error = module->load(); error != Error::Ok) return raise(env, "load", error), nullptr;
    const jclass data = env->FindClass("com/facebook/jni/HybridData");
    return env->NewObject(data, env->GetMethodID(data, "<init>", "(J)V"), reinterpret_cast<jlong>(module.release()));
}

JNIEXPORT void JNICALL Java_com_facebook_jni_HybridData_delete(JNIEnv*, jclass, jlong pointer) {
    delete reinterpret_cast<Module*>(pointer);
}

JNIEXPORT jobjectArray JNICALL Java_org_pytorch_executorch_Module_getMethodsNative(JNIEnv* env, jobject self) {
    const auto names = module_of(env, self).method_names();
    if (!names.ok()) return raise(env, "methods", names.error()), nullptr;
    return strings(env, {names->begin(), names->end()});
}

JNIEXPORT jobjectArray JNICALL Java_org_pytorch_executorch_Module_getUsedBackends(JNIEnv* env, jobject, jstring) {
    return strings(env, {"XnnpackBackend"});  // informative only
}

JNIEXPORT jint JNICALL Java_org_pytorch_executorch_Module_loadMethodNative(JNIEnv* env, jobject self, jstring name) {
    return static_cast<jint>(module_of(env, self).load_method(text(env, name)));
}

JNIEXPORT jobjectArray JNICALL Java_org_pytorch_executorch_Module_executeNative(JNIEnv* env, jobject self, jstring name,
                                                                               jobjectArray values) {
    std::vector<executorch::extension::TensorPtr> tensors;
    std::vector<EValue> inputs;
    for (jsize i = 0; i < env->GetArrayLength(values); ++i) {
        tensors.push_back(tensor_in(env, env->GetObjectArrayElement(values, i)));
        if (env->ExceptionCheck()) return nullptr;
        inputs.emplace_back(tensors.back());
    }
    last_error.clear();
    const auto results = module_of(env, self).execute(text(env, name), inputs);
    if (!results.ok()) return raise(env, "execute", results.error()), nullptr;
    const auto size = static_cast<jsize>(results->size());
    const jobjectArray array = env->NewObjectArray(size, env->FindClass("org/pytorch/executorch/EValue"), nullptr);
    for (jsize i = 0; i < size; ++i) env->SetObjectArrayElement(array, i, copied(env, (*results)[i]));
    return array;
}

}  // extern "C"
