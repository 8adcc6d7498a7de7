#!/usr/bin/env bash
# fuzz.sh [PACKAGE...]: every fuzz target of the module, one after the other.
#
#   FUZZTIME   for each target, as go test -fuzztime takes it (10s)
#   FUZZTOTAL  seconds for all of them together; makes FUZZTIME smaller, never larger
#   FUZZ       only targets whose name matches this regular expression
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(./...)

# go test -list prints the names, then "ok PACKAGE TIME".
listing=$(go test -list "${FUZZ:-.}" "${packages[@]}") || die "the tests do not build"
targets=()
names=()
while read -r first second _; do
    case $first in
    Fuzz*) names+=("$first") ;;
    ok)
        for n in "${names[@]}"; do targets+=("$second $n"); done
        names=()
        ;;
    esac
done <<<"$listing"
[ ${#targets[@]} -gt 0 ] || die "no fuzz target found"

each=${FUZZTIME:-10s}
if [ -n "${FUZZTOTAL:-}" ]; then
    share=$((FUZZTOTAL / ${#targets[@]}))
    [ "$share" -ge 1 ] || share=1
    case $each in
    *[!0-9s]* | *s*s*) ;;
    *s) [ "${each%s}" -le "$share" ] || each=${share}s ;;
    esac
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
bad=()
say "fuzzing ${#targets[@]} targets for $each each"
# Without a bound to it an input that does not always take the same way is made smaller for a minute, and nothing else
# happens meanwhile.
for target in "${targets[@]}"; do
    read -r package name <<<"$target"
    if go test -run '^$' -fuzz "^$name\$" -fuzztime "$each" -fuzzminimizetime 100x "$package" >"$log" 2>&1; then
        printf 'ok    %-32s %s\n' "$name" "$(grep -oE 'execs: [0-9]+' "$log" | tail -n1)"
    elif grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log"; then
        # The fuzzing engine stopped its own worker at the end of the time; no input failed.
        printf 'ok    %-32s (stopped at the end of its time)\n' "$name"
    else
        cat "$log"
        printf 'FAIL  %s %s\n' "$package" "$name"
        bad+=("$name")
    fi
done
[ ${#bad[@]} = 0 ] || die "failing input for ${bad[*]}; it lies under testdata/fuzz beside the test and belongs in the fix's commit"
