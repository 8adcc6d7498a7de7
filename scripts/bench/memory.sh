# memory.sh: the runs of bench-loopback.sh that go from memory to memory, and
# what all runs share. Each run_PART starts both ends on a free port, waits for
# them and notes its figures; one that fails ends the script.
# shellcheck shell=bash
# shellcheck disable=SC2154 # bench-loopback.sh sets the options

# fresh removes what this part wrote before: whoever waits for its first line must not find the last run's.
fresh() { rm -f "$work/$part".*; }

# limit SECONDS: the longest for either end of a run that should take so long.
limit() { echo $(($1 + 30)); }

# serve OUT LIMIT COMMAND...: starts a receiver under measure; its pid in $receiver.
serve() {
    local out=$1 limit=$2
    shift 2
    background "$out" "$work/$part.recv.log" bin/measure -out "$work/$part.recv.cost" -limit "${limit}s" "$@"
    receiver=$child
}

# dial OUT LIMIT COMMAND...: runs the sender under measure, then waits for the receiver.
dial() {
    local out=$1 limit=$2
    shift 2
    background "$out" "$work/$part.send.log" bin/measure -out "$work/$part.send.cost" -limit "${limit}s" "$@"
    finish "$child" || trouble "the sender ended with status $?"
    finish "$receiver" || trouble "the receiver ended with status $?"
}

# listening FILE PATTERN: the line with which the receiver says that it is ready.
listening() { wait_for "$1" "$2" "$receiver" || trouble "the receiver did not listen"; }

trouble() {
    tail -n 5 "$work/$part".*.json "$work/$part".*.log >&2 2>/dev/null || true
    die "$part: $1"
}

# note NAME VALUE: one figure of this run.
note() {
    [[ "$2" =~ ^[0-9.e+-]+$ ]] || trouble "no figure for $1 in what the run printed: '$2'"
    echo "$round $part $1 $2" >>"$work/values"
}

# costs BYTES [END...]: notes the ends' CPU seconds per GB and peak memory in MiB; both ends' by default.
costs() {
    local end ends=("${@:2}")
    if [ ${#ends[@]} = 0 ]; then ends=(send recv); fi
    for end in "${ends[@]}"; do
        note "cpu_$end" "$(awk -v c="$(json cpu_s <"$work/$part.$end.cost")" -v b="$1" 'BEGIN { if (b > 0) print c / (b / 1e9) }')"
        note "rss_$end" "$(awk -v m="$(json maxrss_bytes <"$work/$part.$end.cost")" 'BEGIN { print m / 1048576 }')"
    done
}

# gbps BITS_PER_SECOND
gbps() { awk -v b="$1" 'BEGIN { if (b != "") print b / 1e9 }'; }

# summary: this run's figures in a line.
summary() {
    awk -v r="$round" -v p="$part" '$1 == r && $2 == p { v[$3] = $4 }
        END { printf "%9.3f Gbit/s   CPU %.3f + %.3f s/GB   peak %.0f + %.0f MiB", v["rate"], v["cpu_send"], v["cpu_recv"], v["rss_send"], v["rss_recv"]
              if ("files" in v) printf "   %.0f files/s", v["files"] }' "$work/values"
}

perf() {
    local recv=$work/$part.recv.json send=$work/$part.send.json most address
    most=$(limit "$seconds")
    serve "$recv" "$most" "$udtcp" perf --json --no-progress --listen=127.0.0.1:0 "$@" "${udtcp_flags[@]}"
    address=$(listening "$recv" '"event" *: *"listening"' | json address)
    dial "$send" "$most" "$udtcp" perf --json --no-progress -t "${seconds}s" "$@" "${udtcp_flags[@]}" "$address"
    note rate "$(gbps "$(end_event "$send" | json goodput_bps)")"
    costs "$(end_event "$send" | json received_bytes)"
}
run_perf() { perf; }
run_secure() { perf --secure; }
run_jumbo() { perf --mss 65535; }

run_libudt() {
    local recv=$work/$part.recv.json send=$work/$part.send.json most port
    most=$(limit "$seconds")
    serve "$recv" "$most" "$udtpeer" serve --mode sink --raw --limit "$most" "${libudt_flags[@]}"
    port=$(listening "$recv" '^listening ')
    dial "$send" "$most" "$udtpeer" dial 127.0.0.1 "${port#listening }" --mode source --seconds "$seconds" --raw \
        --limit "$most" "${libudt_flags[@]}"
    note rate "$(gbps "$(total "$recv" mbps)e6")"
    costs "$(total "$recv" received)"
}

# total FILE KEY: from the last line of a C++ peer.
total() { sed -nE "s/^total .*\<$2=([0-9.]+).*/\1/p" "$1"; }

# iperf3 cannot pick a free port itself: try some outside the ephemeral range.
run_tcp() {
    local recv=$work/$part.recv.json send=$work/$part.send.json most port try
    most=$(limit "$seconds")
    for try in $(seq 10); do
        port=$((20000 + RANDOM % 10000))
        serve "$recv" "$most" iperf3 -s -1 -B 127.0.0.1 -p "$port" --forceflush
        wait_for "$recv" 'Server listening' "$receiver" >/dev/null && break
        finish "$receiver" || true
        [ "$try" -lt 10 ] || trouble "no free port"
    done
    dial "$send" "$most" iperf3 -c 127.0.0.1 -p "$port" -t "$seconds" -J
    note rate "$(gbps "$(received "$send" bits_per_second)")"
    costs "$(received "$send" bytes)"
}

# received FILE KEY: from the sum of iperf3's receiver.
received() { sed -n '/"sum_received"/,$p' "$1" | sed -nE "s/.*\"$2\":[[:space:]]*([0-9.e+]+).*/\1/p" | sed -n 1p; }

ceiling() {
    local recv=$work/$part.recv.json send=$work/$part.send.json most port
    most=$(limit "$seconds")
    serve "$recv" "$most" "$gsoceiling" serve "$@"
    port=$(listening "$recv" '^listening ')
    dial "$send" "$most" "$gsoceiling" dial "${port#listening }" "$seconds" "$@"
    note rate "$(gbps "$(total "$recv" mbps)e6")"
    costs "$(total "$recv" bytes)"
}
run_gso() { ceiling; }
run_nocopy() { ceiling --no-copy; }
