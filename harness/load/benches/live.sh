#!/usr/bin/env bash
# Event streams and WebSockets that stay open: how long it takes to open them, the memory that one takes, the messages that come.
#
#   harness/load/benches/live.sh [CONNECTIONS=50000] [SECONDS=20]
#
# Generator and server each need a file descriptor for each connection. Where the machine allows a process fewer (`ulimit -Hn`), as many
# pairs of a server and a generator as it takes stand beside each other; each prints its own line.
set -euo pipefail

connections=${1:-50000} seconds=${2:-20} pairs=1
hard=$(ulimit -Hn)
if [ "$hard" != unlimited ] && [ "$hard" -lt $((connections + 600)) ]; then
    pairs=$(((connections + hard - 601) / (hard - 600)))
    echo "this machine allows $hard descriptors a process: $pairs pairs of processes hold $connections connections" >&2
fi
share=$(((connections + pairs - 1) / pairs))
cargo build --quiet --release -p squall-load --examples
examples=${CARGO_TARGET_DIR:-target}/release/examples

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for kind in sse ws; do
    # The servers end when their standard input does.
    mkfifo "$work/stdin"
    for pair in $(seq "$pairs"); do
        "$examples/live_server" 0 1000 <"$work/stdin" >"$work/address.$pair" &
    done
    exec 9>"$work/stdin"
    generators=()
    for pair in $(seq "$pairs"); do
        until [ -s "$work/address.$pair" ]; do sleep 0.05; done
        "$examples/live" $kind "$(cat "$work/address.$pair")" "$share" "$seconds" 9>&- &
        generators+=($!)
    done
    wait "${generators[@]}"
    exec 9>&-
    wait
    rm "$work/stdin" "$work"/address.*
done
