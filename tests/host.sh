# To be sourced by scripts that ask a running host: starts and stops it, with the demo model.
#
#   start demo|serve [ARGUMENT…]   starts a host in a fresh folder and sets `address`; `serve` wants
#                                  tokens, knows the demo's workflows and sets `admin`, a token
#   stop                           stops it

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
tools=${STEPMILL_TOOLS_DIR:-$target/tools}
work=$(mktemp -d "${TMPDIR:-/tmp}/stepmill-host.XXXXXX")
host=
export JWT_VERIFICATION_KEY=a-secret-of-the-tests-with-32-bytes-or-more

# Makes a folder of Python packages once: `venv NAME ARGUMENTS-OF-PIP…` sets `venv`.
venv() {
    venv=$tools/$1
    local wanted="${*:2}"
    [ ! -f "${!#}" ] || wanted=$(cat "${!#}")
    [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ] && return
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
    echo "$wanted" >"$venv/installed"
}

stop() {
    [ -z "$host" ] || { kill "$host" && wait "$host"; } || true
    host=
}
trap 'stop; rm -rf "$work"' EXIT

start() {
    local kind=$1 data
    shift
    data=$(mktemp -d "$work/data.XXXXXX")
    [ "$kind" = demo ] || prepare "$data"
    [ "$kind" = demo ] || set -- --config "$work/settings.toml" "$@"
    # Now, and not when the host gets to it: what an earlier one said is not this one's address.
    : >"$work/said"
    "$target/debug/stepmill" "$kind" --listen 127.0.0.1:0 --data-dir "$data" "$@" \
        >"$work/said" 2>"$work/log" &
    host=$!
    for _ in $(seq 300); do
        grep -q '^  models' "$work/said" && break
        sleep 0.1
    done
    grep -q '^  models' "$work/said" || { cat "$work/said" "$work/log" >&2; exit 1; }
    # Only now: read before the last line is there, the first may not be there either.
    address=$(sed -n 's/.* listens on //p' "$work/said")
    [ "$kind" = demo ] || fill
}

# What a guarded host finds when it starts.
prepare() {
    cat >"$work/settings.toml" <<'TOML'
[auth.jwt]
algorithm = "HS256"
key_env = "JWT_VERIFICATION_KEY"
[models]
default_provider = "demo"
[models.providers.demo]
wire = "demo"
TOML
    mkdir -p "$1/workflows"
    cp "$root/host/server/src/cli/prototype.toml" "$1/workflows/"
}

# What it is given when it runs.
fill() {
    admin=$(python3 "$root/tests/token.py" admin agent_os:admin)
    for plugin in content_pipeline pipeline guarded_pipeline echo; do
        STEPMILL_TOKEN=$admin "$target/debug/stepmill" push --url "$address" \
            "$target/plugins-build/wasm32-wasip2/plugin/$plugin.wasm" >/dev/null
    done
}
