# Squall's recipes; `just` alone lists them.

squall := "cargo run --release --quiet --"

# List the recipes.
default:
    @just --list --unsorted

# Run a scenario by name or path and write its report: `just bench id-generator-clock-rollback`.
bench SCENARIO *ARGS:
    {{squall}} run {{SCENARIO}} {{ARGS}}

# Compare runs, or folders of runs, and write the page: `just compare base candidate`.
compare +RUNS:
    {{squall}} compare {{RUNS}}

# All runs below a folder on one page, with P99 over time.
index *ARGS:
    {{squall}} index {{ARGS}}

# Gate a change on a real regression (comes with a later version).
gate +ARGS:
    @echo "gate: not in this version yet" >&2; exit 2

# Run the whole test suite.
test:
    cargo test --workspace

# The same with everything that is heavy to build (journeys, the OpenTelemetry push, Toxiproxy itself and a client of it), and with what
# takes long.
test-full:
    cargo test --workspace --features squall/full,squall-engine/journey,squall-load/journey
    cargo test -p squall-edge --test api -- --ignored
    cargo test -p squall --test squall --features full -- --ignored

# Check formatting and lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Build the API documentation.
docs:
    cargo doc --workspace --no-deps

# Ids per second and P99 per id of one generator, 1 to 16 threads, beside the document's claims.
bench-ids:
    cargo bench -p squall-id-generator

# The time of a guarded call under several sets of rules, with one thread and with two.
bench-breaker:
    cargo bench -p squall-circuit-breaker

# The generator's CPU time per request beside wrk, wrk2 and oha, same server, same core (says what it needs).
bench-load *ARGS:
    bash harness/load/benches/versus_wrk.sh {{ARGS}}

# Tens of thousands of event streams and WebSockets that stay open: time to open them, memory of each.
bench-live *ARGS:
    bash harness/load/benches/live.sh {{ARGS}}

# What a proxy adds: squall's beside HAProxy in the same run, and the memory of each connection (says what it needs).
bench-proxy *ARGS:
    cargo bench -p squall-edge --bench proxy -- {{ARGS}}

# Memory of an hour at 20,000 requests a second, compressed in time.
bench-long-run:
    cargo run --release -p squall-engine --example long_run

# Time and memory to check 100 million values for uniqueness.
bench-unique:
    cargo run --release -p squall-engine --example invariant_budget

# Squall's numbers beside those of a server whose delays are known: `just bench-truth laws`, `just bench-truth noise --runs 10`.
bench-truth *ARGS:
    cargo bench -p squall --bench truth -- {{ARGS}}

# Hold a change against its base: `just gate my-service --base origin/main`.
gate SCENARIO *ARGS:
    cargo run --release -- gate {{SCENARIO}} {{ARGS}}

# Real gates of a service that is worse by known amounts: verdicts, minutes, intervals.
gate-proof *ARGS:
    cargo bench -p squall --bench gate_proof -- {{ARGS}}

# What the gateway adds and carries beside nginx and HAProxy, in one run (says what it needs).
bench-gateway *ARGS:
    cargo bench -p squall-gateway --bench versus -- {{ARGS}}

# The report of an hour with 18 services and 10 loads: time to make it, its bytes, and how soon a browser shows it.
bench-report:
    cargo run --release -q -p squall-report --example long_run -- target/long_run.html
    cargo test --release -q -p squall-report --test browser -- --ignored first_paint
    cargo run --release -q -p squall-report --example hour -- target/hour
    cargo build --release -q
    bash -c 'for _ in 1 2 3 4 5 6; do time target/release/squall report target/hour/base > target/hour/report.txt; done'
    bash -c 'for _ in 1 2 3 4 5 6; do time target/release/squall compare target/hour/base target/hour/candidate --out target/hour/compare.html > target/hour/compare.txt; done'

# The index of 1,000 runs: the time to read them and to write the page.
bench-index:
    rm -rf target/thousand-runs
    cargo run --release -q -p squall-report --example thousand_runs -- target/thousand-runs
    cargo build --release -q
    bash -c 'time target/release/squall index target/thousand-runs > target/thousand-runs/summary.txt'

# How often change points are found in made-up series, with and without one.
bench-change-points:
    cargo run --release -q -p squall-report --example change_points

# Gates on made-up machines, 10,000 of each: how often the same code is blocked, how often a slower one is found, beside other rules.
gate-study *ARGS:
    cargo run --release -q -p squall-report --example gate_study -- {{ARGS}}
