#!/usr/bin/env bash
# Build core and engine-et on the desktop JVM, with ExecuTorch's real Java classes over a JNI library for this machine.
#   android_demo/ci/jvm.sh test BUNDLE        JUnit tests of both; the engine's run BUNDLE
#   android_demo/ci/jvm.sh classpath          build, print what `java` needs to run org.priorraw.host.MainKt
set -euo pipefail
. "$(dirname "$0")/lib.sh"
what=${1:-test}
library=$build/jni/libexecutorch_jni.so

compile_libraries
compiled host "$classes/core:$classes/engine:$executorch:$classes/stubs" "$here/host" -- "$core_sources" "$engine_sources"
if stale jni "$here/jni" "$here/jvm.sh" || [ ! -e "$library" ]; then
    mkdir -p "$build/jni"
    java_home=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
    wheel=$tools/executorch-native
    g++ -std=c++20 -O2 -shared -fPIC -Wall -Wextra -DC10_USING_CUSTOM_GENERATED_MACROS -DET_EVENT_TRACER_ENABLED \
        -isystem "$wheel/include" -isystem "$wheel/include/executorch/runtime/core/portable_type/c10" \
        -isystem "$java_home/include" -isystem "$java_home/include/linux" "$here/jni/executorch_jni.cpp" -o "$library" \
        -L"$wheel/lib" -Wl,-rpath,"$wheel/lib" -Wl,--no-as-needed -lexecutorch -lexecutorch_threadpool \
        -lexecutorch_backend_xnnpack -lexecutorch_kernels_optimized -lexecutorch_kernels_quantized ||
        fail "the JNI library does not compile"
    fresh jni
fi

run=$classes/host:$classes/engine:$classes/core:$executorch:$classes/stubs:$stdlib
case $what in
    classpath) echo "-Dpriorraw.jni=$library -Dpriorraw.strings=$demo/app/src/main/res/values/strings.xml -cp $run" ;;
    test)
        bundle=$(cd "${2:?name a bundle}" && pwd)
        tests=("$demo/core/src/test/kotlin" "$demo/engine-et/src/test/kotlin")
        compiled tests "$run:$junit" "${tests[@]}" -- "$core_sources" "$engine_sources" "$here/host"
        names=$(cd "$classes/tests" && find . -name '*Test.class' | sed 's|^\./||; s|\.class$||; s|/|.|g' | sort)
        temporary=$(mktemp -d "$build/.tests.XXXXXX")
        trap 'rm -rf "$temporary"' EXIT
        # shellcheck disable=SC2086
        java -Xmx600m -Djava.io.tmpdir="$temporary" -Dpriorraw.jni="$library" -Dpriorraw.bundle="$bundle" \
            -Dpriorraw.vectors="$demo/../tests/vectors" -cp "$classes/tests:$run:$junit" org.junit.runner.JUnitCore $names
        ;;
    *) fail "$what: is none of test, classpath" ;;
esac
