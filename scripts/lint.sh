#!/usr/bin/env bash
# lint.sh: everything that judges the code without running it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

status=0
failed() {
    printf 'lint: %s\n' "$*" >&2
    status=1
}

say "== gofmt"
unformatted=$(find . -name '*.go' -not -path './bin/*' -print0 | xargs -0 gofmt -l)
[ -z "$unformatted" ] || failed "gofmt would change: $unformatted"

say "== shell syntax"
while IFS= read -r script; do
    bash -n "$script" || failed "$script"
done < <(find scripts .ci -name '*.sh' -o -path .ci/run)
if command -v shellcheck >/dev/null; then
    find scripts .ci \( -name '*.sh' -o -path .ci/run \) -print0 |
        xargs -0 shellcheck -x -P SCRIPTDIR || failed "shellcheck"
else
    say "shellcheck is not installed: only the syntax was checked"
fi

say "== go.mod"
go mod tidy -diff | head -n 40 || failed "go.mod is not tidy: run go mod tidy"

say "== go vet"
go vet ./... || failed "go vet"
# The systems without our batched UDP calls must at least type-check; on Windows
# the tests need not.
for os in darwin freebsd; do
    GOOS=$os go vet ./cmd/... ./internal/... || failed "go vet for $os"
done
GOOS=windows go build ./... || failed "go build for windows"

# proto owns no goroutine and waits for nothing; no linter of ours says that.
say "== goroutines in proto"
if grep -rnE --include='*.go' --exclude='*_test.go' \
    '^[[:space:]]*(go[[:space:]]+[A-Za-z_(]|select[[:space:]]*\{)|[^A-Za-z0-9_"]chan[[:space:]]' internal/udt/proto; then
    failed "internal/udt/proto starts no goroutine and uses no channel"
fi

say "== golangci-lint"
bin/golangci-lint run ./... || failed "golangci-lint"
scripts/lintcheck/lintcheck.sh || failed "the linter's rules"

say "== govulncheck"
report=$(mktemp)
trap 'rm -f "$report"' EXIT
code=0
timeout -k 5 120 bin/govulncheck ./... >"$report" 2>&1 || code=$?
if [ "$code" = 0 ]; then
    tail -n 3 "$report"
elif [ "$code" = 124 ] || grep -q '^govulncheck: fetching vulnerabilities' "$report"; then
    # Its database lives on the network; a machine without that is no failure.
    loud "govulncheck SKIPPED: its database cannot be reached from here"
else
    cat "$report"
    failed "govulncheck"
fi

[ "$status" = 0 ] || die "FAILED"
say "lint: clean"
