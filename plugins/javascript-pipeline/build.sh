#!/bin/sh
# Builds the component into a folder, by default <target>/plugins, and prints its path.
# Needs node, npm and, the first time, the network.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${STEPMILL_TOOLS_DIR:-$root/target/tools}
out=${1:-${CARGO_TARGET_DIR:-$root/target}/plugins}
componentize_qjs=0.4.5

npm=$tools/componentize-qjs-$componentize_qjs
if ! [ -e "$npm/installed" ]; then
    rm -rf "$npm"
    mkdir -p "$npm"
    npm install --prefix "$npm" --no-audit --no-fund --silent "componentize-qjs@$componentize_qjs" >&2
    touch "$npm/installed"
fi

mkdir -p "$out"
"$npm/node_modules/.bin/componentize-qjs" --wit "$root/wit/v1" --world factory \
    --js "$here/factory.js" --sync --output "$out/javascript-pipeline.wasm" >&2
echo "$out/javascript-pipeline.wasm"
