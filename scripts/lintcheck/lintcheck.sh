#!/usr/bin/env bash
# lintcheck.sh: proves that the linter still catches what it must.
#
# testdata/ holds a module that breaks the import and clock rules on purpose;
# a line ending in "// want LINTER..." must be reported by just those linters,
# every other line by none.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r scripts/lintcheck/testdata/. "$work"
cp go.mod go.sum .golangci.yml "$work"

(cd "$work" && "$OLDPWD/bin/golangci-lint" run --enable-only=depguard,forbidigo \
    --output.text.path=findings --output.text.print-issued-lines=false \
    --output.text.colors=false --show-stats=false --issues-exit-code=0 ./...)

# One line a finding: file:line linter, in order.
sed -E 's/^([^:]+:[0-9]+):.*\(([a-z]+)\)$/\1 \2/' "$work/findings" | sort -u >"$work/got"
(cd "$work" && grep -rn --include='*.go' '// want ' . | sed 's|^\./||' |
    awk -F: '{ n = split($0, p, "// want "); k = split(p[n], w, " ")
               for (i = 1; i <= k; i++) print $1 ":" $2 " " w[i] }' | sort) >"$work/want"
if [ ! -s "$work/want" ] || ! diff -u "$work/want" "$work/got"; then
    echo "lintcheck: the rules of .golangci.yml do not say what they should (- wanted, + reported)" >&2
    exit 1
fi
echo "lintcheck: $(wc -l <"$work/want") deliberate violations, all caught, nothing else reported"
