# report.awk: the tables of bench-loopback.sh, from lines of round, part, name
# and value. -v window=MiB of the flow window, -v pairs=rounds.

{
    value[$2, $3, $1] = $4
    rounds[$2, $3] = rounds[$2, $3] " " $1
    seen[$2] = 1
}

END {
    parts = split("perf libudt tcp gso nocopy secure jumbo file plain work paced pacedplain many cat short stream", part)
    note = "perf:udtcp perf, packets of 1500 bytes;libudt:libudt 4.11, the same packets;tcp:kernel TCP (iperf3);" \
        "gso:UDP with GSO and GRO, header and copies;nocopy:the same without copies;secure:udtcp perf --secure;" \
        "jumbo:udtcp perf --mss 65535;file:send, recv of a file on tmpfs;plain:the same with --insecure;" \
        "work:what file does apart from moving it;" \
        "paced:a file at 1.5 Gbit/s, a core an end;pacedplain:the same with --insecure;many:send, recv of small files on tmpfs;" \
        "cat:cat from pipe to pipe;short:send -, recv -o -, a tenth of;stream:the stream from /dev/zero"
    k = split(note, pair, ";")
    for (i = 1; i <= k; i++) title[substr(pair[i], 1, index(pair[i], ":") - 1)] = substr(pair[i], index(pair[i], ":") + 1)

    printf "\n%-42s %9s %19s   %15s   %11s\n", "median of the rounds", "Gbit/s", "range", "CPU s/GB", "peak MiB"
    printf "%-42s %9s %19s   %7s %7s   %5s %5s\n", "", "", "", "send", "recv", "send", "recv"
    for (i = 1; i <= parts; i++) {
        p = part[i]
        if (!(p in seen)) continue
        rate = series(p, "rate")
        printf "%-42s %9.2f %19s   %7.3f %7.3f   %5.0f %5.0f\n", title[p], rate, sprintf("%.2f to %.2f", low, high), \
            series(p, "cpu_send"), series(p, "cpu_recv"), series(p, "rss_send"), series(p, "rss_recv")
    }

    printf "\n%-42s %9s %19s   %9s\n", "median of the rounds' ratios", "", "range", "goal"
    ratio("perf / libudt", "perf", "rate", "libudt", 4)
    ratio("perf / bare GSO and GRO", "perf", "rate", "gso", 0)
    ratio("perf / kernel TCP", "perf", "rate", "tcp", 0)
    ratio("perf --mss 65535 / kernel TCP", "jumbo", "rate", "tcp", 0.5)
    ratio("perf --secure / libudt, which is plain", "secure", "rate", "libudt", 2)
    ratio("perf --secure / perf", "secure", "rate", "perf", 0)
    ratio("file / file with --insecure", "file", "rate", "plain", 0)
    ratio("the same at 1.5 Gbit/s, a core an end", "paced", "rate", "pacedplain", 0.85)
    ratio("file / perf", "file", "rate", "perf", 0.6)
    ratio("its work without a network / perf", "work", "rate", "perf", 0)
    ratio("file / its work without a network", "file", "rate", "work", 0)
    ratio("cat / perf", "cat", "rate", "perf", 0.6)
    n = series("many", "files")
    if (count) row("small files a second", n, "%.0f", n >= 10000, ">= 10000")
    ratio("CPU s/GB of the sender / libudt's", "perf", "cpu_send", "libudt", -1 / 3)
    ratio("CPU s/GB of the receiver / libudt's", "perf", "cpu_recv", "libudt", -1 / 3)
    peak("file", "send")
    peak("file", "recv")
    peak("stream", "send")
    peak("stream", "recv")
    for (i = 1; i <= 2; i++) {
        end = i == 1 ? "send" : "recv"
        tenth = series("short", "rss_" end)
        whole = series("stream", "rss_" end)
        if (tenth > 0) {
            low = high = whole / tenth
            row("peak of the stream / of its tenth, " end, low, "%.2f", 1, "")
        }
    }
    if (pairs > 0 && pairs < 5) print "\nFewer than five rounds: these show that it runs, not how fast."
}

# series gives the median of one figure and sets low, high and count.
function series(p, name,    n, r, i, v) {
    n = split(rounds[p, name], r, " ")
    for (i = 1; i <= n; i++) v[i] = value[p, name, r[i]] + 0
    return middle(v, n)
}

function middle(v, n,    i, j, x) {
    count = n
    if (n == 0) return low = high = 0
    for (i = 2; i <= n; i++) {
        x = v[i]
        for (j = i - 1; j > 0 && v[j] > x; j--) v[j + 1] = v[j]
        v[j + 1] = x
    }
    low = v[1]
    high = v[n]
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

# ratio prints that of two parts' figures; a goal below 0 is an upper bound, 0 is none.
function ratio(what, p, name, q, goal,    n, r, i, v, k, m) {
    n = split(rounds[p, name], r, " ")
    for (i = 1; i <= n; i++)
        if ((q, name, r[i]) in value) v[++k] = value[p, name, r[i]] / value[q, name, r[i]]
    if (!k) return
    m = middle(v, k)
    if (goal > 0) row(what, m, "%.2f", m >= goal, sprintf(">= %g", goal))
    else if (goal < 0) row(what, m, "%.2f", m < -goal, sprintf("< %.2f", -goal))
    else row(what, m, "%.2f", 1, "")
}

# peak prints the most memory of any round.
function peak(p, end,    m) {
    m = series(p, "rss_" end)
    if (count) row("peak MiB, " p ", " end, high, "%.0f", high < 64 + window, "< 64 + " window)
}

function row(what, m, format, met, goal) {
    printf "%-42s %9s %19s   %9s  %s\n", what, sprintf(format, m), sprintf(format " to " format, low, high), goal, \
        goal == "" ? "" : met ? "ok" : "MISS"
}
