#!/usr/bin/env bash
# What the generator costs beside others: CPU time per request over loopback, same server, same run, interleaved, medians of the
# rounds. The server has one processor, the generators the other, in turn. Prints a table of ratios.
#
#   harness/load/benches/versus_wrk.sh [ROUNDS=5] [SECONDS=10]
#
# Needs two processors and wrk (apt-get install wrk). wrk2 (https://github.com/giltene/wrk2, `make`) and oha (`cargo install oha`) are
# compared with where WRK2 and OHA, or the PATH, name them; what is missing is said, and left out.
set -euo pipefail

rounds=${1:-5} seconds=${2:-10} connections=64 rate=20000
command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk" >&2; exit 1; }
wrk2=${WRK2:-$(command -v wrk2 || true)} oha=${OHA:-$(command -v oha || true)}
cargo build --quiet --release -p squall-load --examples
examples=${CARGO_TARGET_DIR:-target}/release/examples

work=$(mktemp -d)
# The server ends when its standard input does.
mkfifo "$work/stdin"
taskset -c 0 "$examples/responder" 0 <"$work/stdin" >"$work/address" &
exec 9>"$work/stdin"
trap 'exec 9>&-; wait; rm -rf "$work"' EXIT
until [ -s "$work/address" ]; do sleep 0.05; done
url="http://$(cat "$work/address")/id"

# Runs a command on the generators' processor; prints its CPU time per request, the requests being what `pattern` finds in its output.
cost() {
    local pattern=$1; shift
    TIMEFORMAT='%U %S'
    { time taskset -c 1 "$@" >"$work/out" 2>&1; } 2>"$work/time"
    local requests
    requests=$(sed -nE "s/$pattern/\1/p" "$work/out" | awk '{ sum += $1 } END { print sum }')
    awk -v requests="$requests" '{ printf "%.3f\n", ($1 + $2) * 1e6 / requests }' "$work/time"
}

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

of_wrk='.* ([0-9]+) requests in .*' of_squall='.* completed ([0-9]+) .*' of_oha='^ *\[[0-9]+\] ([0-9]+) responses'
for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    cost "$of_wrk" wrk -t1 -c$connections -d"${seconds}s" "$url" >>"$work/closed.wrk"
    cost "$of_squall" "$examples/oneshot" "$url" $connections "$seconds" >>"$work/closed.squall"
    cost "$of_squall" "$examples/oneshot" "$url" $connections "$seconds" $rate >>"$work/open.squall"
    [ -z "$wrk2" ] || cost "$of_wrk" "$wrk2" -t1 -c$connections -d"${seconds}s" -R$rate "$url" >>"$work/open.wrk2"
    [ -z "$oha" ] || cost "$of_oha" "$oha" --no-tui -c $connections -z "${seconds}s" -q $rate --latency-correction "$url" >>"$work/open.oha"
done

printf '%-28s %-8s %10s %10s %7s\n' "" beside "us/request" "squall" ratio
row() {
    [ -s "$work/$2.$3" ] || { printf '%-28s %-8s not here, not compared\n' "$1" "$3"; return; }
    awk -v what="$1" -v who="$3" -v a="$(median "$work/$2.$3")" -v b="$(median "$work/$2.squall")" \
        'BEGIN { printf "%-28s %-8s %10.2f %10.2f %7.3f\n", what, who, a, b, b / a }'
}
row "closed loop, 64 connections" closed wrk
row "open loop, $rate/s" open wrk2
row "open loop, $rate/s" open oha

echo
for many in 64 1000 10000; do
    taskset -c 1 "$examples/oneshot" "$url" $many "$seconds" >"$work/out" 2>&1 || true
    printf 'closed loop, %5d connections: %s\n' $many "$(sed -nE 's/.*(CPU [0-9.]+ us.request).*/\1/p' "$work/out")"
done
taskset -c 1 "$examples/oneshot" "$url" $connections "$seconds" 100 >"$work/out"
printf 'idle, 100 requests/s: %s\n' "$(sed -nE 's/.*request, (.*)/\1/p' "$work/out")"
