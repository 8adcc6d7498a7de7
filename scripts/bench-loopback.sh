#!/usr/bin/env bash
# bench-loopback.sh: udtcp over loopback beside what one could use instead and
# beside what the machine can do. Every round runs each part once, so that what
# drifts on the machine meets all of them; a ratio is the median of the rounds'
# ratios. Prints one table of what was measured and one of the goals.
#
#   BENCH_SECONDS      for one run from memory (5)
#   BENCH_PAIRS        rounds (5)
#   BENCH_PARTS        which ones, by default all:
#                        perf     udtcp perf, packets of 1500 bytes
#                        libudt   the C++ library (testdata/peers), the same packets
#                        tcp      kernel TCP (iperf3)
#                        gso      bare UDP with GSO and GRO that writes a header and
#                                 copies each payload once at either end: the ceiling
#                        nocopy   the same without the copies
#                        secure   udtcp perf --secure: the same in TLS
#                        jumbo    udtcp perf --mss 65535
#                        file     send and recv of one file on tmpfs, encrypted, with digest
#                        plain    the same with --insecure
#                        work     what both ends do with that file apart from moving it: the
#                                 ceiling for file
#                        paced    send and recv of a quarter of it at 1.5 Gbit/s, each end on one
#                                 processor, encrypted
#                        pacedplain  the same with --insecure
#                        many     send and recv of small files on tmpfs, with digest
#                        cat      udtcp cat from pipe to pipe, whose far ends cost next to nothing
#                        stream   once at the end: send - and recv -o - from /dev/zero
#   BENCH_MIB          size of the file, and of what cat moves (4096, or what memory allows)
#   BENCH_FILES        how many small files of 10,000 bytes (20000)
#   BENCH_STREAM_MIB   length of the stream; a tenth of it goes first (40960)
#   BENCH_BRIEF=1      other defaults, to see that all of it works: 1 s, 2 rounds,
#                      512 MiB, 5000 files, a stream of 2560 MiB
#   BENCH_UDTCP        more flags for udtcp, at both ends
#   BENCH_LIBUDT       more flags for udtpeer, at both ends
#   BENCH_KEEP         a file for all figures, a line each: round, part, name, value
#
# The status tells whether every run worked, not whether it was fast.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$root/scripts/bench/memory.sh"
. "$root/scripts/bench/files.sh"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

default() { if [ -n "${BENCH_BRIEF:-}" ]; then echo "$2"; else echo "$1"; fi; }
seconds=${BENCH_SECONDS:-$(default 5 1)}
pairs=${BENCH_PAIRS:-$(default 5 2)}
mib=${BENCH_MIB:-$(default 4096 512)}
files=${BENCH_FILES:-$(default 20000 5000)}
stream_mib=${BENCH_STREAM_MIB:-$(default 40960 2560)}
read -ra parts <<<"${BENCH_PARTS:-perf libudt tcp gso nocopy secure jumbo file plain work paced pacedplain many cat stream}"
read -ra udtcp_flags <<<"${BENCH_UDTCP:-}"
read -ra libudt_flags <<<"${BENCH_LIBUDT:-}"
window_mib=256 # what udtcp takes by default
udtcp=${UDTCP_BIN:-$root/udtcp}
udtpeer=$root/testdata/peers/build/udtpeer
gsoceiling=$root/testdata/peers/build/gsoceiling

[ -x "$udtcp" ] || die "no ./udtcp here: make build"
for tool in measure pipeend filework; do [ -x "bin/$tool" ] || die "no bin/$tool here: make bench-loopback builds it"; done

has() { [[ " ${parts[*]} " = *" $1 "* ]]; }
drop() {
    local kept=() p
    for p in "${parts[@]}"; do [ "$p" = "$1" ] || kept+=("$p"); done
    parts=("${kept[@]}")
}
# without PART MESSAGE: leaves it out, loudly, if it was asked for.
without() {
    has "$1" || return 0
    loud "no $1 in the table: $2"
    drop "$1"
}
for p in "${parts[@]}"; do
    declare -F "run_$p" >/dev/null || die "BENCH_PARTS: no part is called $p"
done
[ -x "$udtpeer" ] || without libudt "make peers needs g++ and libudt-dev"
command -v iperf3 >/dev/null || without tcp "iperf3 is missing"
mapfile -t processors < <(taskset -cp $$ 2>/dev/null | sed 's/.*: //' | tr , '\n' |
    while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done)
if [ ${#processors[@]} -lt 2 ]; then
    for p in paced pacedplain; do without "$p" "it needs taskset and two processors"; done
fi
for p in gso nocopy; do
    if [ ! -x "$gsoceiling" ]; then
        without "$p" "it needs g++"
    elif has "$p" && ! lack=$("$gsoceiling" probe 2>&1); then
        without "$p" "$lack"
    fi
done

[ ${#parts[@]} -gt 0 ] || die "nothing is left to run"

prepare_work
once=()
if has stream; then
    drop stream
    once+=(stream)
fi
if [ ${#parts[@]} = 0 ]; then pairs=0; fi

say "loopback, $pairs rounds; runs from memory take $seconds s each"
for round in $(seq "$pairs"); do
    for part in "${parts[@]}"; do
        fresh
        "run_$part"
        say "$(printf '%-5s %-8s %s' "$round/$pairs" "$part" "$(summary)")"
    done
done
for part in "${once[@]}"; do
    round=1
    "run_$part"
done

[ -z "${BENCH_KEEP:-}" ] || cp "$work/values" "$BENCH_KEEP"
printf '\n%s, %s processors, Linux %s; socket buffers up to %s (receive) and %s bytes (send)\n' \
    "$(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)" "$(nproc)" "$(uname -r)" \
    "$(cat /proc/sys/net/core/rmem_max)" "$(cat /proc/sys/net/core/wmem_max)"
awk -v window="$window_mib" -v pairs="$pairs" -f "$root/scripts/bench/report.awk" "$work/values"
