#!/usr/bin/env bash
# test.sh [PACKAGE...]: go vet and the whole test suite, under the race
# detector, then what that is too slow for without it, then once more without the
# kernel's batched UDP calls.
#
#   UDTCP_REQUIRE_RACE=1     fail where the race detector cannot run
#   UDTCP_REQUIRE_INTEROP=1  fail where the tests against libudt cannot run
#   TESTFLAGS                more flags for go test
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(./...)
read -ra flags <<<"-shuffle=on -timeout=${TEST_TIMEOUT:-20m} ${TESTFLAGS:-}"
missing=()

if scripts/install-deps.sh race; then
    flags+=(-race)
    export CGO_ENABLED=1
else
    [ -z "${UDTCP_REQUIRE_RACE:-}" ] || die "the race detector needs a C compiler"
    missing+=("the race detector did not run: it needs a C compiler")
    loud "${missing[-1]}"
fi
if ! scripts/install-deps.sh interop; then
    [ -z "${UDTCP_REQUIRE_INTEROP:-}" ] || die "interop needs libudt and a C++ compiler"
    missing+=("interop with libudt was not tested: it needs g++ and libudt-dev")
    loud "${missing[-1]}"
fi

say "== go vet ${packages[*]}"
go vet "${packages[@]}"
mkdir -p bin
go build -o bin/testtally ./scripts/testtally

status=0
say "== go test ${flags[*]} ${packages[*]}"
go test -json "${flags[@]}" "${packages[@]}" | bin/testtally || status=1

# Packages that leave something out under the race detector have a file for each case.
mapfile -t slow < <(go list -f '{{.ImportPath}} {{join .TestGoFiles " "}} {{join .XTestGoFiles " "}}' "${packages[@]}" |
    awk '/ race_off_test.go/ || / race_on_test.go/ { print $1 }')
if [[ " ${flags[*]} " = *" -race "* ]] && [ ${#slow[@]} -gt 0 ]; then
    plain=("${flags[@]/-race/}")
    read -ra plain <<<"${plain[*]} -skip=Interop"
    say "== without the race detector: go test ${plain[*]} ${slow[*]}"
    go test -json "${plain[@]}" "${slow[@]}" | bin/testtally || status=1
fi

# udpio and every package whose tests are built with the driver: those reach a socket.
mapfile -t sockets < <(go list -test -f '{{.ImportPath}} {{join .Deps " "}}' "${packages[@]}" |
    awk '$1 ~ /\.test$/ && (/ [^ ]*\/internal\/udt( |$)/ || $1 ~ /\/udpio\.test$/) { sub(/\.test$/, "", $1); print $1 }')
if [ ${#sockets[@]} -gt 0 ]; then
    say "== the portable UDP path: go test -short ${flags[*]} ${sockets[*]}"
    UDTCP_NO_MMSG=1 UDTCP_NO_GSO=1 UDTCP_NO_GRO=1 \
        go test -json -short "${flags[@]}" "${sockets[@]}" | bin/testtally || status=1
fi

for m in "${missing[@]}"; do loud "$m"; done
[ "$status" = 0 ] || die "FAILED"
