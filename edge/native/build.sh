#!/usr/bin/env bash
# Build priorraw-native: edge/native/build.sh [x86_64|aarch64] [cmake options]; by default for this machine.
# The program and its libraries end in build/native/ARCH/{bin,lib}, a folder to copy to the box.
# PYTHON names a Python with pip, which fetches ExecuTorch's wheel and verifies its hash.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
arch=${1:-$(uname -m)}
shift || true
out=$here/../../build/native/$arch
wheel=$out/executorch-1.5.1

case $arch in
    x86_64 | aarch64) ;;
    *) echo "build.sh: $arch: ExecuTorch has wheels for x86_64 and aarch64; name one" >&2; exit 2 ;;
esac
packages=(cmake make nlohmann-json3-dev)
toolchain=()
if [ "$arch" = "$(uname -m)" ]; then
    packages+=(g++ libpng-dev libsodium-dev zlib1g-dev)
elif [ "$arch" = aarch64 ]; then
    # Never qemu -L /usr/aarch64-linux-gnu beside libc6:arm64: two C libraries mixed hang in pthread_create.
    packages+=(g++-aarch64-linux-gnu qemu-user-static libstdc++6:arm64 libpng-dev:arm64 libsodium-dev:arm64 zlib1g-dev:arm64)
    toolchain=("-DCMAKE_TOOLCHAIN_FILE=$here/cmake/aarch64.cmake")
else
    echo "build.sh: no cross compiler from $(uname -m) to $arch; build on such a machine" >&2
    exit 2
fi

# Debian and its kin; elsewhere CMake names what is missing.
if command -v dpkg-query >/dev/null; then
    missing=()
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        foreign=
        [[ " ${missing[*]} " == *:arm64* ]] && foreign='dpkg --add-architecture arm64 && '
        install="${foreign}apt-get update -qq && apt-get install -y -qq --no-install-recommends ${missing[*]}"
        if [ "$(id -u)" -ne 0 ]; then
            echo "build.sh: not installed: ${missing[*]}; as root: $install" >&2
            exit 1
        fi
        echo "build.sh: installing ${missing[*]}"
        DEBIAN_FRONTEND=noninteractive bash -c "$install" >/dev/null
    fi
fi

if [ ! -d "$wheel" ]; then
    fetched=$(mktemp -d)
    trap 'rm -rf "$fetched"' EXIT
    # Any Python will do to fetch it: what is used is no Python.
    "${PYTHON:-python3}" -m pip --disable-pip-version-check download -q --no-deps --only-binary=:all: \
        --platform "manylinux_2_28_$arch" --python-version 3.11 --implementation cp --abi cp311 \
        --require-hashes -r "$here/executorch.txt" -d "$fetched"
    "${PYTHON:-python3}" -m zipfile -e "$fetched"/executorch-*.whl "$fetched/wheel"
    mkdir -p "$out"
    mv "$fetched/wheel" "$wheel"
fi

cmake -S "$here" -B "$out/build" -DEXECUTORCH_DIR="$(cd "$wheel" && pwd)/executorch" \
    -DCMAKE_INSTALL_PREFIX="$out" "${toolchain[@]}" "$@" >"$out/cmake.log" || { cat "$out/cmake.log" >&2; exit 1; }
cmake --build "$out/build" --parallel "$(nproc)" -- --no-print-directory -s
(cd "$out/build" && ctest --output-on-failure -Q) || { echo "build.sh: ctest failed; see $out/build/Testing" >&2; exit 1; }
cmake --install "$out/build" >/dev/null
echo "$(cd "$out" && pwd)/bin/priorraw-native"
