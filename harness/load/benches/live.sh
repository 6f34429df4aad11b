#!/usr/bin/env bash
# Event streams and WebSockets that stay open: how long it takes to open them, the memory that one takes, the messages that come.
#
#   harness/load/benches/live.sh [CONNECTIONS=50000] [SECONDS=15]
#
# Generator and server each need a file descriptor for each: see `ulimit -Hn`.
set -euo pipefail

connections=${1:-50000} seconds=${2:-15}
hard=$(ulimit -Hn)
if [ "$hard" != unlimited ] && [ "$hard" -lt $((connections + 600)) ]; then
    echo "this machine allows $hard descriptors a process: $((hard - 600)) connections in place of $connections" >&2
    connections=$((hard - 600))
fi
cargo build --quiet --release -p squall-load --examples
examples=${CARGO_TARGET_DIR:-target}/release/examples

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for kind in sse ws; do
    # The server ends when its standard input does.
    mkfifo "$work/stdin"
    "$examples/live_server" 0 1000 <"$work/stdin" >"$work/address" &
    exec 9>"$work/stdin"
    until [ -s "$work/address" ]; do sleep 0.05; done
    "$examples/live" $kind "$(cat "$work/address")" "$connections" "$seconds"
    exec 9>&-
    wait
    rm "$work/stdin" "$work/address"
done
