#!/usr/bin/env bash
# demo.sh: the main job on real input, over loopback.
#
# Sends the Go toolchain's own source tree, one generated file (DEMO_SIZE MiB,
# 1024) and a tar stream through pipes; compares what arrived byte for byte and
# prints what udtcp measured. Takes about 3 GiB of a temporary directory, which
# it removes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

size=${DEMO_SIZE:-1024}
limit=${DEMO_TIMEOUT:-300} # seconds for one transfer
udtcp=${UDTCP_BIN:-$root/udtcp}
tree=$(go env GOROOT)/src
[ -x "$udtcp" ] || die "no ./udtcp here: make build"
[ -d "$tree" ] || die "the Go toolchain has no source tree at $tree"

tree_kb=$(du -sk "$tree" | cut -f1)
work=$(temp_dir $((2 * 1024 * size + 2 * tree_kb + 256 * 1024)))
mkdir "$work"/{tree,file,pipe}
export XDG_CONFIG_HOME=$work/config # both ends are one user, of the demo's own

# receive NAME ARGUMENTS... >OUT: starts a receiver on a free port of loopback;
# its pid in $child, its address in $address, its events in $events.
receive() {
    local name=$1 out=$2
    shift 2
    events=$work/$name.recv.json
    if [ "$out" = - ]; then # events on standard output
        background "$events" "$work/$name.recv.log" timeout -k 5 "$limit" "$udtcp" recv --json --no-progress --listen=127.0.0.1:0 "$@"
    else # standard output carries the payload, events go to standard error
        background "$out" "$events" timeout -k 5 "$limit" "$udtcp" recv --json --no-progress --listen=127.0.0.1:0 "$@"
    fi
    local line
    line=$(wait_for "$events" '"event" *: *"listening"' "$child") || trouble "$name" "the receiver did not listen"
    address=$(json address <<<"$line")
}

send() {
    local name=$1
    shift
    timeout -k 5 "$limit" "$udtcp" send --json --no-progress "$address" "$@" >"$work/$name.send.json" 2>"$work/$name.send.log" ||
        trouble "$name" "the sender ended with status $?"
}

trouble() {
    tail -n 5 "$work/$1".*.json "$work/$1".*.log >&2 2>/dev/null || true
    die "$1: $2"
}

# agree NAME: both ends printed the same digest.
agree() {
    local a b
    a=$(end_event "$work/$1.send.json" | json digest)
    b=$(end_event "$work/$1.recv.json" | json digest)
    if [ -z "$a" ] || [ "$a" != "$b" ]; then trouble "$1" "digests differ: sent '$a', received '$b'"; fi
}

row() {
    local name=$1 e
    e=$(end_event "$work/$name.send.json")
    awk -v name="$name" -v files="$(json files <<<"$e")" -v bytes="$(json bytes <<<"$e")" \
        -v seconds="$(json seconds <<<"$e")" -v bps="$(json goodput_bps <<<"$e")" \
        -v rtt="$(json ms_rtt <<<"$e")" -v sent="$(json pkt_sent_total <<<"$e")" \
        -v lost="$(json pkt_snd_loss_total <<<"$e")" -v again="$(json pkt_retrans_total <<<"$e")" \
        'BEGIN { printf "%-6s %6d %10.1f %8.2f %10.2f %8.3f %9d %7d %7.3f %%\n", name, files, bytes / 1048576,
                 seconds, bps / 1e9, rtt, sent, again, (sent > 0 ? 100 * lost / sent : 0) }'
}

say "tree: $tree, $(find "$tree" -type f | wc -l) files"
receive tree - -o "$work/tree/"
receiver=$child
send tree "$tree"
finish "$receiver" || trouble tree "the receiver ended with status $?"
diff -r "$tree" "$work/tree/$(basename "$tree")" || trouble tree "what arrived differs"
rm -rf "$work/tree"

say "file: $size MiB of random bytes"
head -c "$((size * 1024 * 1024))" /dev/urandom >"$work/random"
receive file - -o "$work/file/"
receiver=$child
send file "$work/random"
finish "$receiver" || trouble file "the receiver ended with status $?"
cmp "$work/random" "$work/file/random" || trouble file "what arrived differs"
agree file
rm "$work/random" "$work/file/random"

say "pipe: tar | udtcp send … - and udtcp recv -o - | tar"
mkfifo "$work/stream"
background /dev/null "$work/untar.log" tar -C "$work/pipe" -xf "$work/stream"
untar=$child
receive pipe "$work/stream" -o -
receiver=$child
tar -C "$(dirname "$tree")" -cf - "$(basename "$tree")" | send pipe -
finish "$receiver" || trouble pipe "the receiver ended with status $?"
finish "$untar" || trouble pipe "tar refused what arrived"
diff -r "$tree" "$work/pipe/$(basename "$tree")" || trouble pipe "what arrived differs"
agree pipe

printf '\n%-6s %6s %10s %8s %10s %8s %9s %7s %9s\n' what files MiB seconds Gbit/s 'RTT ms' packets resent loss
for name in tree file pipe; do row "$name"; done
printf '\nEverything arrived, byte for byte.\n'
