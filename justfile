# What people type. Each recipe is one command that also works without `just`.

# List the recipes.
default:
    @just --list

# Start the demo on 127.0.0.1:7777.
demo *arguments:
    cargo run --release -- demo {{arguments}}

# Install what tests need and run them all, or the house tests that are named.
test *names:
    tests/run {{names}}

# Serve the workflows of the recorded server as one of its set-ups had them; tests/golden/README.md.
golden name address:
    tests/golden/serve {{name}} {{address}}

# The quick half of `test`: format, lints, docs, and the tests without needs from outside.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
    cargo test --locked -p stepmill-core -p stepmill-engine -p stepmill-models -p stepmill-sandbox -p stepmill-sdk -p stepmill

# Instantiate and build, beside bare wasmtime doing the same, in one run.
bench *arguments:
    cargo bench -p stepmill-sandbox --bench instantiate_build -- {{arguments}}

# What requests cost the host, in CPU time, latency and memory; `--agno` measures Agno beside it.
load *arguments:
    cargo build --release --locked -p stepmill -p stepmill-fake-provider -p stepmill-load
    target/release/stepmill-load {{arguments}}

# Every kind of hostile plugin, each with the answer it has to get.
hostile:
    tests/house hostile::

# One tenant tries every route with every handle of another.
tenants:
    tests/house tenants::

# Hostile bytes for whatever meets them first, so many seconds for each fuzzer; tests/fuzz/README.md.
fuzz seconds *targets:
    tests/fuzz/run {{seconds}} {{targets}}

# How much slower a quiet tenant's runs are beside one that runs the hostile guest.
neighbour *arguments:
    cargo build --release --locked -p stepmill -p stepmill-fake-provider -p stepmill-load
    cargo build --release --locked --target wasm32-wasip2 --manifest-path host/sandbox/tests/guests/Cargo.toml --target-dir target/hostile-guests
    target/release/stepmill-load --neighbour {{arguments}}

# Build the example plugins into a folder.
plugins folder="target/plugins":
    plugins/build-rust.sh {{folder}}
    plugins/python-pipeline/build.sh {{folder}}
    plugins/javascript-pipeline/build.sh {{folder}}

# Licences, sources, floors, and the RustSec advisories (needs the network).
audit:
    tests/deny.sh --advisories
