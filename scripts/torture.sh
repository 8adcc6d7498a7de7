#!/usr/bin/env bash
# torture.sh: transfers with everything going wrong that can, and what must hold
# after it (internal/promise). Ends with a table of the counts; its status is not
# zero when a promise was broken.
#
#   TORTURE_BRIEF=1   few of each, in about two minutes
#   TORTURE_SEED      chooses what happens when; the clock's if not given
#   TORTURE_RECEIVER, TORTURE_SENDER, TORTURE_BOTH
#                     times that kill -9 hits an end, or both (scripts/torture)
#   TORTURE_PREFIXES  prefixes of the recorded file operations, at most each of them
#   TORTURE_STATES    states after a crash of the machine, unsynced writes and names lost
#   TORTURE_CUTS      cuts of the connection at frames' boundaries and inside them
#   TORTURE_RECONNECTS
#                     connections that are cut, and made again, a dozen times each
#   TORTURE_EVERYWHERE
#                     bytes of a small transfer after which it is cut and made again, at most each of them
#   TORTURE_JOURNALS  journals damaged or cut off at a byte, at most each of them
#   TORTURE_FULL      offsets at which a disk runs full; needs root on Linux
#   TORTURE_ENTRIES   files in one directory that pass in bounded memory
#   TORTURE_FILES     files of 10 KB that pass over a long link, in simulated time
set -euo pipefail
. "$(dirname "$0")/lib.sh"
trap clean_up EXIT

if [ -n "${TORTURE_BRIEF:-}" ]; then
    few=(RECEIVER=60 SENDER=30 BOTH=12 PREFIXES=1000000 STATES=5000 CUTS=300 RECONNECTS=160
        EVERYWHERE=1000 JOURNALS=1000 FULL=50 ENTRIES=60000 FILES=4000)
else
    few=(RECEIVER=1000 SENDER=500 BOTH=200 PREFIXES=1000000 STATES=100000 CUTS=3000 RECONNECTS=1600
        EVERYWHERE=10000 JOURNALS=1000 FULL=500 ENTRIES=500000 FILES=20000)
fi
for f in "${few[@]}"; do
    name=TORTURE_${f%=*}
    declare -x "$name=${!name:-${f#*=}}"
done
export TORTURE_SEED=${TORTURE_SEED:-$(date +%s)}
say "seed $TORTURE_SEED"

[ -x ./udtcp ] || die "no ./udtcp here: make build"
mkdir -p bin
go build -o bin/ ./scripts/torture ./scripts/testtally
work=$(mktemp -d)
export TORTURE_TABLE=$work/table
: >"$TORTURE_TABLE"

status=0
bin/torture -udtcp ./udtcp || status=1
go test -json -count=1 -timeout=2h -run Torture ./internal/transfer ./internal/cli | bin/testtally || status=1

printf '\n%-52s %8s %8s %8s  %s\n' what cases runs failures seed
while IFS= read -r row; do
    printf '%-52s %8s %8s %8s  %s\n' "$(json what <<<"$row")" "$(json cases <<<"$row")" "$(json runs <<<"$row")" \
        "$(json failures <<<"$row")" "$(json seed <<<"$row")"
done <"$TORTURE_TABLE"
[ "$status" = 0 ] || die "FAILED, with TORTURE_SEED=$TORTURE_SEED"
