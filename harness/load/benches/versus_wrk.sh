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
trap 'exec 8>&- 9>&-; wait; rm -rf "$work"' EXIT
exec 8>/dev/null
until [ -s "$work/address" ]; do sleep 0.05; done
address=$(cat "$work/address") url="http://$(cat "$work/address")/id"

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

# At 100 requests a second a request costs what waking, reading and writing cost at the least; printed beside it.
for round in $(seq "$rounds"); do
    taskset -c 1 "$examples/oneshot" "$url" $connections "$seconds" 100 | sed -nE 's/.*, ([0-9.]+) % of a core/\1/p' >>"$work/idle.squall"
    taskset -c 1 "$examples/bare" "$address" 100 "$seconds" | sed -nE 's/.*, ([0-9.]+) % of a core/\1/p' >>"$work/idle.bare"
done
awk -v bare="$(median "$work/idle.bare")" -v squall="$(median "$work/idle.squall")" \
    'BEGIN { printf "idle, 100 requests/s: %.2f %% of a core; sleep, read and write alone %.2f %%: ratio %.3f\n", squall, bare, squall / bare }'

# What the service itself sees: its latency from the arrival of a request to its answer, at the same rate from either generator.
mkfifo "$work/own.stdin"
taskset -c 0 "$examples/responder" 0 stamp <"$work/own.stdin" >"$work/own" &
exec 8>"$work/own.stdin"
until [ -s "$work/own" ]; do sleep 0.05; done
own="http://$(head -1 "$work/own")/id"

# Runs a generator against that server and prints the server's own P99, microseconds.
own_p99() {
    local before; before=$(wc -l <"$work/own")
    echo >&8
    until [ "$(wc -l <"$work/own")" -gt "$before" ]; do sleep 0.05; done
    taskset -c 1 "$@" >"$work/out" 2>&1
    echo >&8
    until [ "$(wc -l <"$work/own")" -gt $((before + 1)) ]; do sleep 0.05; done
    tail -1 "$work/own" | sed -nE 's/.* p99 ([0-9]+) .*/\1/p'
}

for at in 2000 8000 $rate; do
    rm -f "$work"/own.*.p99
    for round in $(seq "$rounds"); do
        own_p99 "$examples/oneshot" "$own" $connections "$seconds" $at >>"$work/own.squall.p99"
        [ -z "$wrk2" ] || own_p99 "$wrk2" -t1 -c$connections -d"${seconds}s" -R$at "$own" >>"$work/own.wrk2.p99"
    done
    theirs=$([ -s "$work/own.wrk2.p99" ] && median "$work/own.wrk2.p99" || true)
    printf "the server's own P99 at %5d/s: %s us beside squall, %s us beside wrk2\n" $at "$(median "$work/own.squall.p99")" "${theirs:-?}"
done
