#!/bin/sh
# Records testdata/golden anew: what two peers on libudt 4.11 say to each other
# over loopback. Needs g++, make and libudt-dev. Numbers drawn at random (IDs,
# sequence numbers, cookies) and times change with each run; look at the diff.
set -eu
cd "$(dirname "$0")/.."
UDTCP_REQUIRE_INTEROP=1 go test ./internal/udt -count=1 -run '^TestCaptureGolden$' \
	-args -capture-golden="$PWD/testdata/golden"
go test ./internal/udt/proto -count=1 -run '^TestGolden'
