#!/usr/bin/env bash
# bench.sh [PACKAGE...]: the Go benchmarks, BENCHTIME (1s) each, BENCHCOUNT (1) times.
# With BENCHOUT=FILE the result is kept; bin/benchstat OLD NEW compares two.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(./...)
go test -run '^$' -bench "${BENCH:-.}" -benchmem -benchtime "${BENCHTIME:-1s}" -count "${BENCHCOUNT:-1}" \
    "${packages[@]}" | grep -v '\[no test files\]' | tee "${BENCHOUT:-/dev/null}"
