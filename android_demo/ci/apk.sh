#!/usr/bin/env bash
# A link and packaging check with stand-in stubs, NOT for release: android_demo/ci/apk.sh BUNDLE
# Compiles the app against Android's classes, shrinks it with R8 (which refuses classes that would be missing at run
# time), links resources, packs BUNDLE, aligns, signs and inspects. Leaves build/android/app-ci.apk.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
bundle=$(cd "${1:?name a bundle}" && pwd)
app=$demo/app/src/main
work=$build/apk
catalog() { sed -n "s/^$1 = \"\(.*\)\"$/\1/p" "$demo/gradle/libs.versions.toml"; }

compile_libraries
rm -rf "$work"
mkdir -p "$work/gen" "$work/r" "$work/lib" "$work/assets"
cp -r "$bundle" "$work/assets/bundle"

# Resources. AGP puts the package and the application's id into the manifest; here sed does.
sed -e 's|<manifest |<manifest package="org.priorraw.demo" |' -e 's|${applicationId}|org.priorraw.demo|' \
    "$app/AndroidManifest.xml" >"$work/AndroidManifest.xml"
"$tools/aapt2" compile --dir "$app/res" -o "$work/resources.zip"
"$tools/aapt2" link -o "$work/linked.apk" -I "$tools/android-framework.jar" --manifest "$work/AndroidManifest.xml" \
    --java "$work/gen" --proguard "$work/manifest.pro" -A "$work/assets" --min-sdk-version "$(catalog minSdk)" --target-sdk-version "$(catalog targetSdk)" \
    --version-code 1 --version-name 0.1.0 "$work/resources.zip"
javac -nowarn -source 8 -target 8 -Xlint:-options -d "$work/r" "$work"/gen/org/priorraw/demo/R.java

compiled app "$classes/core:$classes/engine:$work/r:$tools/android-23.jar" "$app/kotlin" -- \
    "$core_sources" "$engine_sources" "$app/res"

# The closed world: everything that the app, its engine and ExecuTorch's classes refer to must be there or be Android's.
for name in core engine app stubs; do (cd "$classes/$name" && jar cf "$work/$name.jar" .); done
(cd "$work/r" && jar cf "$work/r.jar" .)
java -Xmx1g -XX:+UseSerialGC -cp "$tools/r8.jar" com.android.tools.r8.R8 --release --min-api "$(catalog minSdk)" \
    --lib "$tools/android-23.jar" --output "$work" --pg-conf "$work/manifest.pro" \
    --pg-conf "$demo/engine-et/consumer-rules.pro" --pg-conf "$here/shrink.pro" \
    "$work/app.jar" "$work/r.jar" "$work/core.jar" "$work/engine.jar" "$work/stubs.jar" "$executorch" "$stdlib" "$tools/kotlin/lib/annotations-13.0.jar" \
    >"$work/r8.log" 2>&1 || { cat "$work/r8.log" >&2; fail "R8 refuses the app"; }

cp "$work/linked.apk" "$work/unaligned.apk"
cp -r "$tools/jni/arm64-v8a" "$work/lib/"
(cd "$work" && jar uf0 unaligned.apk classes.dex && jar uf unaligned.apk lib)
zipalign -f -p 4 "$work/unaligned.apk" "$work/aligned.apk"

# A key of this folder alone.
if [ ! -e "$build/ci.keystore" ]; then
    keytool -genkeypair -keystore "$build/ci.keystore" -storepass android -alias ci -keyalg RSA -keysize 2048 \
        -validity 10000 -dname "CN=PriorRAW packaging check not for release" 2>/dev/null
fi
apksigner sign --ks "$build/ci.keystore" --ks-pass pass:android --v1-signing-enabled false --v2-signing-enabled true \
    --v3-signing-enabled true --out "$work/app-ci.apk" "$work/aligned.apk"
"${PYTHON:-python3}" "$here/inspect_apk.py" "$work/app-ci.apk" "$tools/aapt2"
mv "$work/app-ci.apk" "$build/app-ci.apk"
rm -rf "$work"
