#!/usr/bin/env bash
# CPU time per request of squall-load and wrk, closed loop over loopback: same server, same run, interleaved, medians.
# The server has one processor, both generators the other, in turn. Needs wrk (apt-get install wrk) and two processors.
#
#   harness/load/benches/versus_wrk.sh [ROUNDS=5] [SECONDS=10] [CONNECTIONS=64]
set -euo pipefail

rounds=${1:-5} seconds=${2:-10} connections=${3:-64}
command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk" >&2; exit 1; }
cargo build --quiet --release -p squall-load --examples
examples=${CARGO_TARGET_DIR:-target}/release/examples

work=$(mktemp -d)
# The server ends when its standard input does.
mkfifo "$work/stdin"
"$examples/responder" 0 <"$work/stdin" >"$work/address" &
exec 9>"$work/stdin"
trap 'exec 9>&-; wait; rm -rf "$work"' EXIT
until [ -s "$work/address" ]; do sleep 0.05; done
url="http://$(cat "$work/address")/id"

# Runs a command; prints its user and system time divided by the requests that its output names.
cost() {
    local pattern=$1; shift
    TIMEFORMAT='%U %S'
    { time taskset -c 1 "$@" >"$work/out" 2>&1; } 2>"$work/time"
    local requests
    requests=$(sed -nE "s/$pattern/\1/p" "$work/out" | head -1)
    awk -v requests="$requests" '{ printf "%.3f\n", ($1 + $2) * 1e6 / requests }' "$work/time"
}

for round in $(seq "$rounds"); do
    wrk_us=$(cost '.* ([0-9]+) requests in .*' wrk -t1 -c"$connections" -d"${seconds}s" "$url")
    squall_us=$(cost '.* completed ([0-9]+) .*' "$examples/oneshot" "$url" "$connections" "$seconds")
    awk -v r="$round" -v w="$wrk_us" -v s="$squall_us" \
        'BEGIN { printf "round %d: wrk %.2f us/request, squall-load %.2f, ratio %.3f\n", r, w, s, s / w }'
    echo "$wrk_us" >>"$work/wrk"; echo "$squall_us" >>"$work/squall"
done

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
awk -v w="$(median "$work/wrk")" -v s="$(median "$work/squall")" \
    'BEGIN { printf "median: wrk %.2f us/request, squall-load %.2f, ratio %.3f\n", w, s, s / w }'
