#!/bin/sh
# Builds the example plugins that are written in Rust: build-rust.sh [DIRECTORY]
# The components come into DIRECTORY, by default <target>/plugins, under the ids of their factories.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
out=${1:-$target/plugins}
mkdir -p "$out"
out=$(cd "$out" && pwd)

packages=
for manifest in "$root"/plugins/*/Cargo.toml; do
    packages="$packages $(basename "$(dirname "$manifest")")"
done

# The stack: enough for the deepest JSON that serde_json reads; host/server/build.rs says more.
cd "$root"
RUSTFLAGS="-C link-arg=-zstack-size=131072" cargo build --locked --profile plugin \
    --target wasm32-wasip2 --target-dir "$target/plugins-build" \
    $(printf -- '-p %s ' $packages) >&2

for package in $packages; do
    library=$(echo "$package" | tr - _)
    cp "$target/plugins-build/wasm32-wasip2/plugin/$library.wasm" "$out/$package.wasm"
    echo "$out/$package.wasm"
done
