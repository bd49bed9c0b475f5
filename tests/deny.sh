#!/bin/sh
# Holds Cargo.lock against deny.toml: licences, sources, and who may name which crate. With
# `--advisories` also against the RustSec database, which is fetched from the network.
set -eu
cd "$(dirname "$0")/.."
version=0.20.2
tools=${STEPMILL_TOOLS_DIR:-${CARGO_TARGET_DIR:-$PWD/target}/tools}/cargo-deny-$version
# Its own lock file, and unoptimised: it runs for a second and would compile for minutes.
[ -x "$tools/bin/cargo-deny" ] ||
    cargo install --quiet --locked --debug --root "$tools" --target-dir "$tools/build" "cargo-deny@$version" >&2
rm -rf "$tools/build"
checks="bans licenses sources"
[ "${1:-}" = --advisories ] && checks="advisories $checks"
# shellcheck disable=SC2086  # words on purpose
"$tools/bin/cargo-deny" --workspace --all-features check $checks
