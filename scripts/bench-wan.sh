#!/usr/bin/env bash
# bench-wan.sh: files over modelled wide-area links (scripts/wanlink), in one run: udtcp
# with each of its congestion controls, kernel TCP with BBR and CUBIC, and libudt
# (testdata/peers). Prints goodput in Mbit/s and as a share of what the link can carry,
# rate × 1456/1500 × (1 − loss). "<" is a transfer that had not finished in time. Needs
# root for network namespaces and TUN devices; the machine should have nothing else to do.
#
#   BENCH_WAN_SUITES   table (default), quarter, jitter, ackloss, outage, steps, standing,
#                      short, trees, receiver, fairness, or "all"
#   BENCH_WAN_LINKS    parts of the names of links to run; all of them unless set
#   BENCH_WAN_PEERS    of bbr, native, tcp-bbr, tcp-cubic, libudt; all of them unless set
#   BENCH_SCALE        of all sizes (1)
#   BENCH_LIMIT        for one transfer (60s)
#   BENCH_LENGTH       of a run for fairness (30s)
#   BENCH_OUT          directory that gets results.jsonl, which scripts/wanplot draws
#   BENCH_WAN_BRIEF=1  a look whether all of it works, in less than 40 s; says loudly that
#                      it was skipped where namespaces or TUN devices are not to be had
set -euo pipefail
. "$(dirname "$0")/lib.sh"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

udtcp=${UDTCP_BIN:-$root/udtcp}
udtpeer=$root/testdata/peers/build/udtpeer
[ -x "$udtcp" ] || die "no ./udtcp here: make build"
[ -x "$udtpeer" ] || udtpeer=
command -v nsenter >/dev/null || die "no nsenter here: it comes with util-linux"
# Files in memory, where there is room: the disk is not what is measured.
room=$((1 << 20)) base=${TMPDIR:-/tmp}
if [ -w /dev/shm ] && [ "$(df -Pk /dev/shm | awk 'NR == 2 { print $4 }')" -ge $((2 * room)) ]; then base=/dev/shm; fi
work=$(TMPDIR=$base temp_dir "$room")
go build -o "$work/wanlink" ./scripts/wanlink
go build -o "$work/benchwan" ./scripts/benchwan

status=0
"$work/wanlink" -limit 1ms rate=1Mbit >/dev/null || status=$?
if [ "$status" != 0 ]; then
    why="needs network namespaces and TUN devices, for which it must be root"
    if [ "$status" = 3 ] && [ -n "${BENCH_WAN_BRIEF:-}" ]; then
        loud "SKIPPED: $why"
        exit 0
    fi
    die "$why"
fi

suites=${BENCH_WAN_SUITES:-table}
if [ "$suites" = all ]; then suites=table,quarter,jitter,ackloss,outage,steps,standing,short,trees,receiver,fairness; fi
limit=${BENCH_LIMIT:-60s} brief=false
if [ -n "${BENCH_WAN_BRIEF:-}" ]; then suites=brief limit=10s brief=true; fi
out=${BENCH_OUT:-}
if [ -n "$out" ]; then mkdir -p "$out"; else out=$(mktemp -d "${TMPDIR:-/tmp}/bench-wan.XXXXXXXX"); fi

"$work/benchwan" -udtcp "$udtcp" -wanlink "$work/wanlink" -udtpeer "$udtpeer" -work "$work" -out "$out" \
    -suites "$suites" -links "${BENCH_WAN_LINKS:-}" -peers "${BENCH_WAN_PEERS:-}" \
    -scale "${BENCH_SCALE:-1}" -limit "$limit" -length "${BENCH_LENGTH:-30s}" -brief="$brief" </dev/null &
children+=("$!")
finish "$!"
say "every run, with samples: $out/results.jsonl"
