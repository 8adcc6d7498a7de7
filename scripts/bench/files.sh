# files.sh: the runs of bench-loopback.sh that go from files and pipes to files
# and pipes; memory.sh tells of the rest. What files hold is random and stays on
# a tmpfs, so that no disk is measured; every copy is compared with its source.
# shellcheck shell=bash
# shellcheck disable=SC2154 # bench-loopback.sh sets the options

# prepare_work makes $work, on a tmpfs with room for both copies of all files,
# and the sources. It makes the file smaller where memory is short.
prepare_work() {
    local need=1024 fits part whole='' quarter='' small_mib=$((files * 12 / 1024 + 64)) # a file of 10,000 bytes takes three pages
    if has file || has plain || has work; then whole=yes; fi
    if has paced || has pacedplain; then quarter=yes; fi
    if [ -n "$whole$quarter" ]; then
        fits=$(fitting_mib)
        if [ "$mib" -gt "$fits" ]; then
            loud "BENCH_MIB=$mib does not fit into the memory of this machine: $fits"
            mib=$fits
        fi
        if [ "$mib" -lt 64 ]; then
            for part in file plain work paced pacedplain; do without "$part" "too little memory"; done
            whole='' quarter=''
        fi
    fi
    if [ -n "$whole" ]; then need=$((need + 2 * mib * 1024)); fi
    if [ -n "$quarter" ]; then need=$((need + 2 * mib / 4 * 1024)); fi
    if has many; then need=$((need + 2 * small_mib * 1024)); fi
    work=$(TMPDIR=${BENCH_TMPFS:-/dev/shm} temp_dir "$need")
    if { [ -n "$whole$quarter" ] || has many; } && [ "$(stat -f -c %T "$work")" != tmpfs ]; then
        loud "$work is not on a tmpfs: these are figures of a disk; BENCH_TMPFS=DIR names a better place"
    fi
    : >"$work/values"
    export XDG_CONFIG_HOME=$work/config # an identity for both ends of what is secure
    mkfifo "$work/in" "$work/out"
    mkdir "$work/copy"
    if [ -n "$whole" ]; then head -c "${mib}M" /dev/urandom >"$work/file"; fi
    if [ -n "$quarter" ]; then head -c "$((mib / 4))M" /dev/urandom >"$work/quarter"; fi
    if has many; then make_small; fi
}

# fitting_mib: the largest file of which two copies fit beside two of a quarter of it and 2 GiB for all else.
fitting_mib() {
    local memory group shm
    memory=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
    group=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
    if [ "$group" != max ] && [ $((group >> 20)) -lt "$memory" ]; then memory=$((group >> 20)); fi
    memory=$((memory - 2048))
    shm=$(df -Pm "${BENCH_TMPFS:-/dev/shm}" 2>/dev/null | awk 'NR == 2 { print $4 - 1024 }')
    if [ -n "$shm" ] && [ "$shm" -lt "$memory" ]; then memory=$shm; fi
    echo $((memory > 0 ? memory * 2 / 5 : 0))
}

# make_small: $files files in directories of a thousand.
make_small() {
    local left=$files n dir=0
    while [ "$left" -gt 0 ]; do
        n=$((left < 1000 ? left : 1000))
        mkdir -p "$work/many/$dir"
        head -c $((n * 10000)) /dev/urandom | split -b 10000 -a 3 -d - "$work/many/$dir/"
        left=$((left - n)) dir=$((dir + 1))
    done
}

# per MIB: the longest that so much may take.
per() { limit $((30 + $1 / 50)); }

# discard SOURCE: removes its copy.
discard() { rm -rf "${work:?}/copy/$(basename "$1")"; }

# warm SOURCE: copies it and removes the copy. A virtual machine gets its memory page by page at first use, which is
# slow, and may give back within seconds what is free: let no run pay for that.
warm() {
    cp -r "$1" "$work/copy/"
    discard "$1"
}

# What an end of a transfer runs under, and what only the sender is told.
on_recv=() on_send=() send_flags=()

# transfer SOURCE MIB FLAGS...: send and recv, the digests compared; notes all but what the copy is.
transfer() {
    local source=$1 flags=("${@:3}") most recv=$work/$part.recv.json send=$work/$part.send.json address
    most=$(per "$2")
    warm "$source"
    serve "$recv" "$most" "${on_recv[@]}" "$udtcp" recv --json --no-progress --listen=127.0.0.1:0 -o "$work/copy/" "${flags[@]}" "${udtcp_flags[@]}"
    address=$(listening "$recv" '"event" *: *"listening"' | json address)
    dial "$send" "$most" "${on_send[@]}" "$udtcp" send --json --no-progress "${flags[@]}" "${send_flags[@]}" "${udtcp_flags[@]}" \
        "$address" "$source"
    sums "$send" "$recv"
    diff -rq "$source" "$work/copy/$(basename "$source")" >&2 || trouble "what arrived differs"
    discard "$source"
}

# sums SENT RECEIVED: notes the figures of the events "end" in these files, whose digests must agree.
sums() {
    local sent received
    sent=$(end_event "$1")
    received=$(end_event "$2")
    if [ -z "$(json digest <<<"$sent")" ] || [ "$(json digest <<<"$sent")" != "$(json digest <<<"$received")" ]; then
        trouble "the ends' digests differ: '$(json digest <<<"$sent")' and '$(json digest <<<"$received")'"
    fi
    note rate "$(gbps "$(json goodput_bps <<<"$sent")")"
    note seconds "$(json seconds <<<"$sent")"
    costs "$(json bytes <<<"$sent")"
}

run_file() { transfer "$work/file" "$mib"; }
run_plain() { transfer "$work/file" "$mib" --insecure; }

# work: one process in place of both ends.
run_work() {
    local out=$work/$part.send.json
    warm "$work/file"
    background "$out" "$work/$part.send.log" bin/measure -out "$work/$part.send.cost" -limit "$(per "$mib")s" \
        bin/filework "$work/file" "$work/copy/file"
    finish "$child" || trouble "it ended with status $?"
    cmp "$work/file" "$work/copy/file" >&2 || trouble "the copy differs"
    note rate "$(awk -v b="$(json bytes <"$out")" -v s="$(json seconds <"$out")" 'BEGIN { print 8 * b / s / 1e9 }')"
    costs "$(json bytes <"$out")" send
    discard "$work/file"
}

# paced: at 1.5 Gbit/s, either end on a processor of its own.
paced() {
    local on_recv=(taskset -c "${processors[0]}") on_send=(taskset -c "${processors[1]}") send_flags=(--bwlimit 1500Mbit)
    transfer "$work/quarter" "$((mib / 4))" "$@"
}
run_paced() { paced; }
run_pacedplain() { paced --insecure; }

run_many() {
    local count
    transfer "$work/many" $((files / 10))
    count=$(end_event "$work/$part.send.json" | json files)
    [ "$count" = "$files" ] || trouble "$count of $files files were sent"
    note files "$(awk -v n="$files" -v s="$(end_event "$work/$part.send.json" | json seconds)" 'BEGIN { print n / s }')"
}

# piped MIB SENDER... -- RECEIVER...: zeros through a pipe into the sender's standard input, out of the receiver's
# standard output through another one, counted there.
piped() {
    local size=$1 most feeder eater address count send=()
    shift
    while [ "$1" != -- ]; do
        send+=("$1")
        shift
    done
    shift
    most=$(per "$size")
    input=$work/out background "$work/$part.count" "$work/$part.drain.log" timeout -k 5 "$most" bin/pipeend drain
    eater=$child
    serve "$work/out" "$most" "$@"
    # Standard output carries the payload, so the events go to standard error.
    address=$(listening "$work/$part.recv.log" '"event" *: *"listening"' | json address)
    background "$work/in" "$work/$part.feed.log" timeout -k 5 "$most" bin/pipeend feed $((size << 20))
    feeder=$child
    input=$work/in dial "$work/$part.send.json" "$most" "${send[@]}" "$address" "${last[@]}"
    finish "$feeder" || trouble "not all of the input was taken"
    finish "$eater" || trouble "the output did not end"
    count=$(sed -nE 's/^([0-9]+) bytes.*/\1/p' "$work/$part.count")
    [ "$count" = $((size << 20)) ] || trouble "$count of $((size << 20)) bytes came out"
}

run_cat() {
    local last=() end
    piped "$mib" "$udtcp" cat --json --no-progress "${udtcp_flags[@]}" \
        -- "$udtcp" cat --json --no-progress --stay --listen=127.0.0.1:0 "${udtcp_flags[@]}"
    end=$(end_event "$work/$part.send.log")
    note rate "$(gbps "$(json goodput_bps <<<"$end")")"
    costs $((mib << 20))
}

# run_stream moves a tenth first: what memory a stream takes must not depend on its length.
run_stream() {
    part=short stream $((stream_mib / 10))
    part=stream stream "$stream_mib"
}

stream() {
    local last=(-)
    fresh
    piped "$1" "$udtcp" send --json --no-progress "${udtcp_flags[@]}" \
        -- "$udtcp" recv --json --no-progress --listen=127.0.0.1:0 -o - "${udtcp_flags[@]}"
    sums "$work/$part.send.json" "$work/$part.recv.log"
    say "$(printf '%-5s %-8s %s' once "$part" "$(summary)")"
}
