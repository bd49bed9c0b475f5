#!/bin/sh
# Builds the plugin of the recorded workflows into <target>/golden/plugin.wasm.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cd "$root"
# As plugins/build-rust.sh does, in the same folder.
RUSTFLAGS="-C link-arg=-zstack-size=131072" cargo build --locked --profile plugin \
    --target wasm32-wasip2 --target-dir "$target/plugins-build" -p golden >&2
mkdir -p "$target/golden"
cp "$target/plugins-build/wasm32-wasip2/plugin/golden.wasm" "$target/golden/plugin.wasm"
