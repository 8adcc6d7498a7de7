#!/usr/bin/env bash
# bench-loopback.sh: memory to memory over loopback, in alternating pairs:
# udtcp perf, the C++ library (testdata/peers) and TCP (iperf3). Prints what the
# receiver got in each run, the medians and their ratios.
#
#   BENCH_SECONDS      for one run (5)
#   BENCH_PAIRS        how often each one runs (5)
#   BENCH_UDTCP        more flags for udtcp perf
#   BENCH_LIBUDT       more flags for udtpeer, on both sides
#   BENCH_MIN_RATIO    fail when the median of udtcp / libudt is below this
set -euo pipefail
. "$(dirname "$0")/lib.sh"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

seconds=${BENCH_SECONDS:-5}
pairs=${BENCH_PAIRS:-5}
read -ra udtcp_flags <<<"${BENCH_UDTCP:-}"
read -ra libudt_flags <<<"${BENCH_LIBUDT:-}"
udtcp=${UDTCP_BIN:-$root/udtcp}
udtpeer=$root/testdata/peers/build/udtpeer
[ -x "$udtcp" ] || die "no ./udtcp here: make build"
work=$(temp_dir 1024)
limit=$((seconds + 30))

# Each run_X prints bits a second, as the receiver counted them.

run_udtcp() {
    local out=$work/udtcp.recv address line receiver
    background "$out" "$work/udtcp.recv.log" timeout -k 5 "$limit" "$udtcp" perf --json --no-progress --listen=127.0.0.1:0 "${udtcp_flags[@]}"
    receiver=$child
    line=$(wait_for "$out" '"event" *: *"listening"' "$receiver") || trouble "$work"/udtcp.*
    address=$(json address <<<"$line")
    timeout -k 5 "$limit" "$udtcp" perf --json --no-progress -t "${seconds}s" "${udtcp_flags[@]}" "$address" \
        >"$work/udtcp.send" 2>"$work/udtcp.send.log" || trouble "$work"/udtcp.*
    finish "$receiver" || trouble "$work"/udtcp.*
    end_event "$work/udtcp.send" | json goodput_bps
}

run_libudt() {
    local out=$work/libudt.recv port line receiver
    background "$out" "$work/libudt.recv.log" timeout -k 5 "$limit" "$udtpeer" serve --mode sink --raw --limit "$limit" "${libudt_flags[@]}"
    receiver=$child
    line=$(wait_for "$out" '^listening ' "$receiver") || trouble "$work"/libudt.*
    port=${line#listening }
    timeout -k 5 "$limit" "$udtpeer" dial 127.0.0.1 "$port" --mode source --seconds "$seconds" --raw --limit "$limit" "${libudt_flags[@]}" \
        >"$work/libudt.send" 2>"$work/libudt.send.log" || trouble "$work"/libudt.*
    finish "$receiver" || trouble "$work"/libudt.*
    sed -nE 's/^total .* mbps=([0-9.]+).*/\1/p' "$out" | awk '{ printf "%.0f\n", $1 * 1e6 }'
}

# iperf3 cannot pick a free port itself: try some outside the ephemeral range.
run_tcp() {
    local out=$work/tcp.recv port receiver try
    for try in $(seq 10); do
        port=$((20000 + RANDOM % 10000))
        background "$out" "$work/tcp.recv.log" timeout -k 5 "$limit" iperf3 -s -1 -B 127.0.0.1 -p "$port" --forceflush
        receiver=$child
        wait_for "$out" 'Server listening' "$receiver" >/dev/null && break
        finish "$receiver" || true
        [ "$try" -lt 10 ] || trouble "$work"/tcp.*
    done
    timeout -k 5 "$limit" iperf3 -c 127.0.0.1 -p "$port" -t "$seconds" -J >"$work/tcp.send" 2>"$work/tcp.send.log" || trouble "$work"/tcp.*
    finish "$receiver" || trouble "$work"/tcp.*
    sed -n '/"sum_received"/,$p' "$work/tcp.send" | sed -nE 's/.*"bits_per_second":[[:space:]]*([0-9.e+]+).*/\1/p' | head -n1
}

trouble() {
    tail -n 5 "$@" >&2 || true
    die "a run failed"
}

runners=(udtcp)
if [ -x "$udtpeer" ]; then runners+=(libudt); else loud "no libudt in the table: make peers needs g++ and libudt-dev"; fi
if command -v iperf3 >/dev/null; then runners+=(tcp); else loud "no TCP in the table: iperf3 is missing"; fi

say "loopback, $pairs runs of $seconds s each, Gbit/s at the receiver"
printf '%-8s' run
printf '%10s' "${runners[@]}"
echo
for pair in $(seq "$pairs"); do
    printf '%-8s' "$pair"
    for r in "${runners[@]}"; do
        "run_$r" >"$work/value"
        bps=$(cat "$work/value")
        [ -n "$bps" ] || trouble "$work/$r".*
        echo "$bps" >>"$work/$r.all"
        awk -v b="$bps" 'BEGIN { printf "%10.3f", b / 1e9 }'
    done
    echo
done

median() {
    sort -g "$work/$1.all" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
printf '%-8s' median
for r in "${runners[@]}"; do awk -v b="$(median "$r")" 'BEGIN { printf "%10.3f", b / 1e9 }'; done
echo

# The ratio of each pair, then their median: what drifts on the machine cancels.
for r in "${runners[@]:1}"; do
    paste "$work/udtcp.all" "$work/$r.all" | awk '{ print $1 / $2 }' >"$work/udtcp-to-$r.all"
    ratio=$(median "udtcp-to-$r")
    printf 'udtcp / %s, median of pairs: %.2f\n' "$r" "$ratio"
    if [ "$r" = libudt ] && [ -n "${BENCH_MIN_RATIO:-}" ]; then
        awk -v r="$ratio" -v m="$BENCH_MIN_RATIO" 'BEGIN { exit !(r >= m) }' ||
            die "slower than asked for: $ratio of libudt, wanted $BENCH_MIN_RATIO"
    fi
done
