# lib.sh: what the scripts share. Source it from a script in scripts/ or below
# that has set -euo pipefail; it goes to the top of the repository.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

say() { printf '%s\n' "$*" >&2; }

# loud MESSAGE: something that should have run did not.
loud() { printf '\n!!! %s: %s\n\n' "$(basename "$0")" "$*" >&2; }

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# temp_dir KILOBYTES: makes a directory with that much room, prints its name.
temp_dir() {
    local need=$1 base free
    for base in "${TMPDIR:-/tmp}" /tmp /var/tmp "$root"; do
        if [ ! -d "$base" ] || [ ! -w "$base" ]; then continue; fi
        free=$(df -Pk "$base" | awk 'NR == 2 { print $4 }')
        if [ "$free" -ge "$need" ]; then
            mktemp -d "$base/udtcp.XXXXXXXX"
            return
        fi
    done
    die "no directory with $((need / 1024)) MiB free; set TMPDIR to one"
}

# Children started with `background`, to be ended with the script.
children=()
work=

# background OUT ERR COMMAND...: starts it, its pid in $child. Its standard input
# is the file $input if that is set.
background() {
    local out=$1 err=$2
    shift 2
    "$@" >"$out" 2>"$err" <"${input:-/dev/null}" &
    child=$!
    children+=("$child")
}

# finish PID: waits for a child and gives its status.
finish() {
    local pid=$1 status=0 kept=() c
    wait "$pid" || status=$?
    for c in "${children[@]}"; do [ "$c" = "$pid" ] || kept+=("$c"); done
    children=("${kept[@]}")
    return "$status"
}

# clean_up ends this script's own children and removes $work: use it as the EXIT trap.
clean_up() {
    local c
    for c in "${children[@]}"; do kill "$c" 2>/dev/null || true; done
    for c in "${children[@]}"; do wait "$c" 2>/dev/null || true; done
    if [ -n "$work" ]; then
        chmod -R u+w "$work" 2>/dev/null || true
        rm -rf "$work"
    fi
}

# wait_for FILE PATTERN PID: until a line of FILE matches, 15 s at most; prints it.
# Fails at once when the process has ended without writing it.
wait_for() {
    local file=$1 pattern=$2 pid=$3 alive
    for _ in $(seq 300); do
        alive=yes
        kill -0 "$pid" 2>/dev/null || alive=no
        grep -m1 -e "$pattern" "$file" 2>/dev/null && return 0
        [ "$alive" = yes ] || return 1
        sleep 0.05
    done
    return 1
}

# json KEY: the value of the first KEY in the JSON line on standard input, if any.
# Enough for udtcp's own events; strings come without their quotes.
json() {
    { grep -oE "\"$1\" *: *(\"[^\"]*\"|[^,}]*)" || true; } | sed -n '1{s/^"[^"]*" *: *//;s/^"//;s/"$//;p;}'
}

# end_event FILE: the last `end` event udtcp --json wrote.
end_event() { { grep '"event" *: *"end"' "$1" || true; } | tail -n1; }
