#!/bin/sh
# Builds the component into a folder, by default <target>/plugins, and prints its path.
# Needs python3 and, the first time, the network.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${STEPMILL_TOOLS_DIR:-$root/target/tools}
out=${1:-${CARGO_TARGET_DIR:-$root/target}/plugins}
componentize_py=0.25.1

venv=$tools/componentize-py-$componentize_py
if ! [ -e "$venv/installed" ]; then
    python3 -m venv --clear "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check "componentize-py==$componentize_py" >&2
    touch "$venv/installed"
fi

mkdir -p "$out"
"$venv/bin/componentize-py" --wit-path "$root/wit/v1" --world factory componentize app \
    --python-path "$here" --output "$out/python-pipeline.wasm" >&2
echo "$out/python-pipeline.wasm"
