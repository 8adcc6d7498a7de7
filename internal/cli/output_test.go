package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/udtcp/udtcp/internal/transfer"
)

// hostile is what a peer may try to put on a terminal.
const hostile = "a\x1b[31mred\r\n\x00\x7f\u009b31m\u202egnp.exe\u2066\ufeff\U000e0041b\xff"

// isRaw says whether a terminal might act on something in s.
func isRaw(s string) bool {
	return strings.ContainsFunc(strings.TrimSuffix(s, "\n"), func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
	})
}

func TestNothingRawReachesTheTerminal(t *testing.T) {
	var b bytes.Buffer
	c := &console{w: &b, verbosity: 2}
	c.info("%s", hostile)
	c.fail(verdict{message: hostile, hint: hostile})
	c.table("%s", hostile)
	c.progress("%s", progressLine(sample{name: hostile}, 0, 0))
	for line := range strings.Lines(b.String()) {
		if isRaw(line) {
			t.Errorf("raw: %q", line)
		}
	}
	if n := strings.Count(b.String(), "\n"); n != 5 {
		t.Errorf("%d lines instead of 5: %q", n, b.String())
	}
	if s := quote(hostile); isRaw(s) {
		t.Errorf("quote: %q", s)
	}
	if s := barText(sample{name: hostile}); isRaw(s) {
		t.Errorf("bar: %q", s)
	}
	if s := printable("plain ünïcode 漢字 �"); s != "plain ünïcode 漢字 �" {
		t.Errorf("printable changed %q", s)
	}
}

func TestNothingRawReachesJSON(t *testing.T) {
	var b bytes.Buffer
	e := &emitter{w: &b, now: func() time.Time { return time.Unix(1, 5).UTC() }}
	e.emit("file", fileEvent{Name: hostile, Size: 1})
	if isRaw(b.String()) {
		t.Errorf("raw: %q", b.String())
	}
	if !strings.HasPrefix(b.String(), `{"event":"file","time":"1970-01-01T00:00:01.000000005Z","name":"a\u001b`) {
		t.Errorf("event: %s", &b)
	}
	var back fileEvent
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Name != strings.ToValidUTF8(hostile, "\ufffd") {
		t.Errorf("%q, %v", back.Name, err)
	}
	(*emitter)(nil).emit("end", endEvent{}) // no --json
}

// The keys of the events are the contract's.
func TestEventKeys(t *testing.T) {
	for _, tc := range []struct {
		body any
		want string
	}{
		{listeningEvent{}, "address"},
		{connectedEvent{}, "peer peer_key cc mss"},
		{fileEvent{}, "name size digest resumed_bytes"},
		{progressEvent{}, "bytes total goodput_bps stats"},
		{endEvent{}, "exit_code reason files bytes resumed_bytes seconds goodput_bps digest digest_algorithm stats"},
		{stats{}, "ms_timestamp pkt_sent_total pkt_recv_total pkt_snd_loss_total pkt_rcv_loss_total pkt_retrans_total " +
			"pkt_sent_ack_total pkt_recv_ack_total pkt_sent_nak_total pkt_recv_nak_total us_snd_duration_total pkt_sock_drop_total " +
			"pkt_sent pkt_recv pkt_snd_loss pkt_rcv_loss pkt_retrans pkt_sent_ack pkt_recv_ack pkt_sent_nak pkt_recv_nak us_snd_duration pkt_sock_drop " +
			"mbps_send_rate mbps_recv_rate us_pkt_snd_period pkt_flow_window pkt_congestion_window pkt_flight_size ms_rtt " +
			"mbps_bandwidth byte_avail_snd_buf byte_avail_rcv_buf"},
	} {
		b, err := encodeEvent("x", time.Now(), tc.body)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{"event": true, "time": true}
		for _, k := range strings.Fields(tc.want) {
			want[k] = true
		}
		for k := range want {
			if _, ok := got[k]; !ok {
				t.Errorf("%T lacks %s", tc.body, k)
			}
		}
		for k := range got {
			if !want[k] {
				t.Errorf("%T has %s", tc.body, k)
			}
		}
	}
}

func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want status
	}{
		{nil, 0},
		{errors.New("?"), 1},
		{usageError("x"), 2},
		{fail(exitNoLink, "", "x"), 3},
		{&transfer.Error{Kind: transfer.KindLost, Msg: "x"}, 5},
		{&transfer.Error{Kind: transfer.KindIntegrity, Msg: "x"}, 6},
		{&transfer.Error{Kind: transfer.KindLocalIO, Msg: "x"}, 7},
		{&transfer.Error{Kind: transfer.KindRemoteIO, Msg: "x"}, 8},
		{&transfer.Error{Kind: transfer.KindPolicy, Msg: "x"}, 9},
		{&transfer.Error{Kind: transfer.KindUnknown, Msg: "x"}, 10},
		{&linkFault{io.ErrUnexpectedEOF}, 5},
		{fmt.Errorf("wrapped: %w", &transfer.Error{Kind: transfer.KindPolicy, Msg: "x"}), 9},
		{&signalError{}, 130},
	} {
		if v := judge(tc.err); v.status != tc.want || v.message == "" {
			t.Errorf("judge(%v) = %+v, want status %d", tc.err, v, tc.want)
		}
	}
	v := judge(&transfer.Error{Kind: transfer.KindPolicy, Op: "create", Path: "f\x1b", Msg: "it exists", Hint: "use --overwrite"})
	if v.message != `create "f\x1b": it exists` || v.hint != "use --overwrite" {
		t.Errorf("%+v", v)
	}
}

func TestColor(t *testing.T) {
	for _, tc := range []struct {
		flag     string
		tty      bool
		env      map[string]string
		coloured bool
	}{
		{"auto", true, nil, true},
		{"auto", false, nil, false},
		{"auto", true, map[string]string{"NO_COLOR": "1"}, false},
		{"auto", true, map[string]string{"NO_COLOR": ""}, true},
		{"auto", true, map[string]string{"TERM": "dumb"}, false},
		{"always", false, map[string]string{"NO_COLOR": "1"}, true},
		{"never", true, nil, false},
	} {
		p := run(t, procOptions{tty: tc.tty, env: tc.env}, "recv", "--color", tc.flag)
		if got := strings.Contains(p.stderr.String(), "\x1b["); got != tc.coloured {
			t.Errorf("%+v: coloured is %v: %q", tc, got, p.stderr)
		}
	}
}

func TestProgressLine(t *testing.T) {
	s := sample{bytes: 25 << 20, total: 100 << 20, files: 1, totalFiles: 3, name: "dir/b", rtt: 20 * time.Millisecond}
	want := `25 MiB of 100 MiB (25 %), 80.0 Mbit/s, rtt 20.0 ms, eta 30.0 s, file 2 of 3, "dir/b"`
	if got := progressLine(s, 80e6, 10*time.Second); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := progressLine(sample{bytes: 5, total: -1, totalFiles: -1}, 0, time.Second); got != "5 B, 0 bit/s, rtt 0.00 ms" {
		t.Errorf("unknown total: %s", got)
	}
}

// reporting runs a reporter over what a test sets, in a bubble.
func reporting(o *commonOptions, e Env, peer string, carries payload, s func() sample, during func()) (stderr, js string) {
	var out, ev bytes.Buffer
	e.Stderr = &out
	e = e.complete()
	a := &app{env: e, out: &console{w: &out}, opts: o}
	if o.json {
		a.events = &emitter{w: &ev, now: time.Now}
	}
	here, _ := newMemNet().memLinks()
	stop := a.report(here, peer, carries, s)
	during()
	stop()
	return out.String(), ev.String()
}

func TestReporter(t *testing.T) {
	tty := Env{StderrTerminal: true}
	second := func() { <-time.After(2*time.Second + time.Millisecond) }
	at := func() sample { return sample{bytes: 1 << 20, total: 4 << 20} }
	for _, tc := range []struct {
		name    string
		o       commonOptions
		e       Env
		peer    string
		carries payload
		bar     bool
		lines   int
	}{
		{name: "no terminal"},
		{name: "terminal", e: tty, bar: true},
		{name: "asked for", o: commonOptions{progress: true}, lines: 2},
		{name: "asked for, quiet", o: commonOptions{progress: true, quiet: true}, lines: 2},
		{name: "terminal, quiet", o: commonOptions{quiet: true}, e: tty},
		{name: "terminal, not wanted", o: commonOptions{noProgress: true}, e: tty},
		{name: "dumb terminal", e: Env{StderrTerminal: true, LookupEnv: func(n string) (string, bool) { return "dumb", n == "TERM" }}, lines: 2},
		{name: "several peers", e: tty, peer: "192.0.2.1:5", lines: 2},
		{name: "typing", e: Env{StderrTerminal: true, StdinTerminal: true}, carries: payload{in: true}},
		{name: "payload on the screen", e: Env{StderrTerminal: true, StdoutTerminal: true}, carries: payload{out: true}},
		{name: "payload in a pipe", e: tty, carries: payload{in: true, out: true}, bar: true},
		{name: "events on the screen", o: commonOptions{json: true}, e: Env{StderrTerminal: true, StdoutTerminal: true}},
		{name: "events in a pipe", o: commonOptions{json: true}, e: tty, bar: true},
		{name: "events on standard error", o: commonOptions{json: true}, e: tty, carries: payload{out: true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			tc.o.interval = time.Second
			out, js := reporting(&tc.o, tc.e, tc.peer, tc.carries, at, second)
			if got := strings.Contains(out, "\r"); got != tc.bar {
				t.Errorf("%s: bar is %v: %q", tc.name, got, out)
			}
			if got := strings.Count(out, "udtcp: "); got != tc.lines {
				t.Errorf("%s: %d lines: %q", tc.name, got, out)
			}
			if tc.peer != "" && !strings.Contains(out, "udtcp: 192.0.2.1:5: 1.0 MiB of 4.0 MiB") {
				t.Errorf("%s: %q", tc.name, out)
			}
			if tc.o.json != (strings.Count(js, `"progress"`) == 2) {
				t.Errorf("%s: events %q", tc.name, js)
			}
		})
	}
}

func TestProgressEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sample{bytes: 0, total: -1}
		_, js := reporting(&commonOptions{json: true, interval: time.Second}, Env{}, "", payload{}, func() sample {
			s.bytes += 1000
			return s
		}, func() { <-time.After(1500 * time.Millisecond) })
		ev := events(t, js)[0]
		if ev["event"] != "progress" || ev["bytes"] != 1000.0 || ev["total"] != nil || ev["goodput_bps"] != 8000.0 || ev["stats"].(map[string]any)["ms_rtt"] != 12.5 {
			t.Errorf("%v", ev)
		}
	})
}

func TestBar(t *testing.T) {
	var b bytes.Buffer
	width := 0
	bar := newBar(&b, func() int { return width })
	bar.clear() // before anything was drawn
	draw := func(s sample) string {
		b.Reset()
		bar.draw(s)
		lines := strings.Split(strings.TrimRight(strings.ReplaceAll(b.String(), clearToEnd, ""), "\r"), "\r")
		return lines[len(lines)-1]
	}
	if got := draw(sample{bytes: 1 << 20, total: -1, rtt: 3 * time.Millisecond}); !strings.Contains(got, "1.0 MiB") || !strings.Contains(got, "rtt 3.00 ms") {
		t.Errorf("unknown total: %q", got)
	}
	got := draw(sample{bytes: 30 << 20, total: 40 << 20, files: 3, totalFiles: 9, name: "x", rtt: 3 * time.Millisecond})
	for _, want := range []string{" 74% [", "30/40 MiB", "/s)", `rtt 3.00 ms file 4/9 "x"`} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q: %q", want, got)
		}
	}
	// The total may grow, and may be reached, and be none at all.
	for _, s := range []sample{{bytes: 40 << 20, total: 40 << 20}, {bytes: 41 << 20, total: 80 << 20}, {bytes: 80 << 20, total: 80 << 20}} {
		if got := draw(s); !strings.Contains(got, "MiB") {
			t.Errorf("%+v: %q", s, got)
		}
	}
	empty := newBar(&b, func() int { return 0 })
	empty.draw(sample{})
	// It never wraps.
	width = 60
	got = draw(sample{bytes: 41 << 20, total: 80 << 20, name: strings.Repeat("漢", 50)})
	if n := len([]rune(got)); n > 59 {
		t.Errorf("%d columns: %q", n, got)
	}
	b.Reset()
	bar.clear()
	if b.String() != "\x1b[2K\r" {
		t.Errorf("clear writes %q", b.String())
	}
}

// A line for people and the bar do not tear each other.
func TestConsoleLiftsBar(t *testing.T) {
	var b bytes.Buffer
	c := &console{w: &b}
	c.setBar(newBar(&b, func() int { return 0 }))
	c.draw(sample{bytes: 1, total: 5})
	b.Reset()
	c.info("hello")
	if b.String() != "\x1b[2K\rudtcp: hello\n" {
		t.Errorf("%q", b.String())
	}
	c.setBar(nil)
	b.Reset()
	c.draw(sample{})
	if b.String() != "" {
		t.Errorf("drawn without a bar: %q", b.String())
	}
}

func TestVerbosity(t *testing.T) {
	for level, want := range map[int]string{-1: "f", 0: "fiw", 1: "fiwd", 2: "fiwdt"} {
		var b bytes.Buffer
		c := &console{w: &b, verbosity: level}
		c.fail(verdict{message: "f"})
		c.info("i")
		c.warn("w")
		c.detail("d")
		c.trace("t")
		got := ""
		for line := range strings.Lines(b.String()) {
			got += line[len(line)-2 : len(line)-1]
		}
		if got != want {
			t.Errorf("verbosity %d shows %q, want %q", level, got, want)
		}
	}
}

func TestWatchProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		var paused atomic.Bool
		var silent atomic.Int64
		ctx, stop := watchProgress(t.Context(), 10*time.Second, n.Load, func() bool { return !paused.Load() },
			func() time.Duration { return time.Duration(silent.Load()) })
		defer stop()
		for range 5 { // progress
			<-time.After(8 * time.Second)
			n.Add(1)
		}
		paused.Store(true) // a pause that is none of the link's doing
		<-time.After(time.Hour)
		paused.Store(false)
		<-time.After(9 * time.Second)
		if ctx.Err() != nil {
			t.Fatal("ended too soon")
		}
		silent.Store(int64(9 * time.Second)) // maybe there is nobody any more: not for the watch to say
		<-time.After(time.Minute)
		if ctx.Err() != nil {
			t.Fatal("ended although nothing was heard")
		}
		silent.Store(int64(time.Second))
		<-ctx.Done()
		if v := judge(context.Cause(ctx)); v.status != exitLost {
			t.Errorf("%+v", v)
		}
	})
	ctx, stop := watchProgress(t.Context(), 0, nil, nil, nil)
	if ctx.Err() != nil {
		t.Error("watched without a limit")
	}
	stop()
}

// Every counter of every stream is in the sum.
func TestMergeStats(t *testing.T) {
	var a, b stats
	for i, v := range []reflect.Value{reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem()} {
		for f := range v.NumField() {
			switch f := v.Field(f); f.Kind() {
			case reflect.Float64:
				f.SetFloat(float64(2 + 2*i))
			default:
				f.SetInt(int64(2 + 2*i))
			}
		}
	}
	m := reflect.ValueOf(mergeStats([]stats{a, b}))
	for f := range m.NumField() {
		got := m.Field(f).Convert(reflect.TypeFor[float64]()).Float()
		if got != 6 && got != 4 && got != 3 { // sum, maximum, mean
			t.Errorf("%s is %g", m.Type().Field(f).Name, got)
		}
	}
	if one := mergeStats([]stats{a}); one != a {
		t.Errorf("one stream: %+v", one)
	}
}
