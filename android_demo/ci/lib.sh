# What jvm.sh and apk.sh share; sourced by them.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
demo=$(cd "$here/.." && pwd)
build=$(mkdir -p "$here/../../build/android" && cd "$here/../../build/android" && pwd)
tools=$build/toolchain
classes=$build/classes
junit=/usr/share/java/junit4.jar:/usr/share/java/hamcrest.jar
stdlib=$tools/kotlin/lib/kotlin-stdlib.jar
executorch=$tools/executorch/executorch.jar

fail() { echo "$(basename "$0"): $*" >&2; exit 1; }

# stale NAME FILE...: whether a step has to run again; `fresh NAME` says that it has.
stale() {
    local name=$1
    shift
    sum=$(find "$@" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-32)
    [ "$(cat "$build/.step-$name" 2>/dev/null)" != "$sum" ]
}
fresh() { echo "$sum" >"$build/.step-$1"; }

# kotlin NAME CLASSPATH SOURCE...: Kotlin sources to classes/NAME.
kotlin() {
    local name=$1 path=$2
    shift 2
    rm -rf "${classes:?}/$name"
    java -Xmx1g -XX:+UseSerialGC -cp "$tools/kotlin/lib/kotlin-compiler.jar" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler \
        -kotlin-home "$tools/kotlin" -jvm-target 1.8 -no-reflect -Werror -cp "$path" -d "$classes/$name" "$@" ||
        fail "$name does not compile"
}

# compiled NAME CLASSPATH SOURCE... -- DEPENDENCY...: the same, unless nothing changed since.
compiled() {
    local name=$1 path=$2 sources=()
    shift 2
    while [ $# -gt 0 ] && [ "$1" != -- ]; do sources+=("$1"); shift; done
    [ $# -gt 0 ] && shift
    if stale "$name" "${sources[@]}" "$@" "$here/lib.sh" "$here/pins.txt" || [ ! -d "$classes/$name" ]; then
        kotlin "$name" "$path" "${sources[@]}"
        stale "$name" "${sources[@]}" "$@" "$here/lib.sh" "$here/pins.txt" || true
        fresh "$name"
    fi
}

core_sources=$demo/core/src/main/kotlin
engine_sources=$demo/engine-et/src/main/kotlin

# core and engine-et, each against its own class path: a class of Android's would not be found.
compile_libraries() {
    "$here/toolchain.sh"
    if stale stubs "$here/stubs" || [ ! -d "$classes/stubs" ]; then
        rm -rf "$classes/stubs"
        mkdir -p "$classes/stubs"
        find "$here/stubs" -name '*.java' -print0 | xargs -0 javac -nowarn -source 8 -target 8 -Xlint:-options -d "$classes/stubs"
        fresh stubs
    fi
    compiled core "$stdlib" "$core_sources"
    compiled engine "$classes/core:$executorch:$classes/stubs" "$engine_sources" -- "$core_sources"
}
