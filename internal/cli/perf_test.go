package cli

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPerf(t *testing.T) {
	for _, args := range [][]string{
		{"-n", "5Mi"}, {"-n", "5Mi", "-R"}, {"-n", "5000001", "--streams", "3"}, {"-n", "5Mi", "--streams", "2", "-R"},
		{"-t", "50ms", "--interval", "10ms"}, {"-t", "50ms", "-R"}, {"-n", "1"},
	} {
		n := newMemNet()
		n.capacity = 1 << 20
		l := start(t, procOptions{net: n}, "perf", "--listen=:0", "--json", "-q")
		d := run(t, procOptions{net: n}, append(append([]string{"perf", "--json"}, args...), "127.0.0.1:"+l.listening())...).ends(0)
		l.ends(0)
		le, de := lastEvent(t, l.stdout.String()), lastEvent(t, d.stdout.String())
		if le["bytes"] != de["bytes"] || de["bytes"].(float64) < 1 || de["bytes"] != de["perf"].(map[string]any)["sent_bytes"] {
			t.Errorf("%v: %v here, %v there", args, de, le)
		}
		want := map[string]float64{"5Mi": 5 << 20, "5000001": 5000001, "1": 1}[args[1]]
		if want != 0 && de["bytes"] != want {
			t.Errorf("%v: %v bytes", args, de["bytes"])
		}
		d.says("interval +received +goodput +rtt +retr +loss", "total\n", `cpu: \w+ \(this end\)`)
	}
}

// The table goes by the receiver's own clock.
func TestPerfTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, js bytes.Buffer
		n := newMemNet()
		here, _ := n.memLinks()
		s := &perfStream{l: here, sends: true, hello: perfHello{bytes: 1 << 40}}
		a := &app{out: &console{w: &out}, events: &emitter{w: &js, now: time.Now}}
		p := &perfTable{a: a, t: &perfTest{streams: []*perfStream{s}}, start: time.Now(), last: make([]tally, 1)}
		<-time.After(time.Second)
		p.interval(true) // nothing reported yet
		s.report.Store(&tally{bytes: 1 << 20, elapsed: 500 * time.Millisecond})
		<-time.After(time.Second)
		p.interval(true)
		want := `      interval    received         goodput         rtt    retr    loss
   0.00-1.00 s         0 B         0 bit/s     12.5 ms       0       0
   1.00-2.00 s     1.0 MiB     16.8 Mbit/s     12.5 ms       0       0
`
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", &out, want)
		}
		last := events(t, js.String())[1]
		if last["event"] != "progress" || last["bytes"] != float64(1<<20) || last["total"] != float64(1<<40) || last["goodput_bps"] != float64(1<<24) {
			t.Errorf("event %v", last)
		}
	})
}

func TestPerfKeepOpen(t *testing.T) {
	n := newMemNet()
	l := start(t, procOptions{net: n}, "perf", "-k", "--listen", ":0", "--json")
	to := "127.0.0.1:" + l.listening()
	for range 2 {
		run(t, procOptions{net: n}, "perf", "-n", "1M", "--streams", "2", to).ends(0)
	}
	l.stdout.await(`(?s)"peer".*"peer"`, l.done)
	l.signals <- os.Interrupt
	l.ends(0)
	if ev := lastEvent(t, l.stdout.String()); ev["bytes"] != 2e6 {
		t.Errorf("end %v", ev)
	}
}

func TestPerfInterrupted(t *testing.T) {
	n := newMemNet()
	l := start(t, procOptions{net: n}, "perf", "--listen", ":0")
	d := start(t, procOptions{net: n}, "perf", "-t", "1h", "--interval", "10ms", "127.0.0.1:"+l.listening())
	d.stderr.await("bit/s", d.done)
	d.signals <- os.Interrupt
	d.ends(130)
	l.ends(5)
}

// What is not perf at the other end is told apart, and does not end a listener.
func TestPerfWithStrangers(t *testing.T) {
	n := newMemNet()
	l := start(t, procOptions{net: n}, "perf", "--listen", ":0")
	to := "127.0.0.1:" + l.listening()
	run(t, procOptions{net: n, stdin: strings.NewReader(strings.Repeat("GET / HTTP/1.0\r\n", 10))}, "cat", to).wait()
	run(t, procOptions{net: n}, "perf", "-n", "1", to).ends(0)
	l.ends(0)

	c := start(t, procOptions{net: n, stdin: strings.NewReader(strings.Repeat("not perf", 10))}, "cat", "--listen=:0", "--stay")
	run(t, procOptions{net: n}, "perf", "127.0.0.1:"+c.listening()).ends(3).says("not 'udtcp perf'", "hint: start")
	c.wait()
}

// A listener without -k turns a second test away while it gathers the streams of the first.
func TestPerfBusy(t *testing.T) {
	n := newMemNet()
	s := &perfServer{a: &app{out: &console{w: io.Discard}}, o: &perfOptions{}, pending: map[[16]byte]*perfGathering{}}
	s.o.connectTimeout = time.Hour
	defer s.dropAll()
	admit := func(h perfHello) (*memLink, *perfTest) {
		here, there := n.memLinks()
		if _, err := here.Write(h.encode()); err != nil {
			t.Fatal(err)
		}
		return here, s.admit(t.Context(), there)
	}
	hello := perfHello{id: [16]byte{1}, streams: 2, time: time.Second, every: time.Second}
	if _, test := admit(hello); test != nil {
		t.Fatal("one stream of two is a test")
	}
	for name, h := range map[string]perfHello{
		"another test":       {id: [16]byte{2}, streams: 1, time: time.Second, every: time.Second},
		"the same stream":    hello,
		"other stream count": {id: [16]byte{1}, streams: 3, index: 2, time: time.Second, every: time.Second},
	} {
		l, test := admit(h)
		b := make([]byte, perfAnswerLen)
		if _, err := io.ReadFull(l, b); err != nil || test != nil {
			t.Fatalf("%s: %v, %v", name, test, err)
		}
		if v := judge(parsePerfAnswer(b)); v.status != exitPolicy {
			t.Errorf("%s: %v", name, v)
		}
	}
	hello.index = 1
	if _, test := admit(hello); test == nil || len(test.streams) != 2 {
		t.Errorf("two streams of two are %v", test)
	}
}

func TestPerfHelloCodec(t *testing.T) {
	h := perfHello{id: [16]byte{1, 2, 3}, streams: 4, index: 3, reverse: true, time: 5 * time.Second, bytes: 1 << 40, every: time.Second}
	b := h.encode()
	got, err := parsePerfHello(b)
	if err != nil || got != h {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, spoil := range map[string]func(b []byte){
		"magic":        func(b []byte) { b[0]++ },
		"version":      func(b []byte) { b[7]++ },
		"no streams":   func(b []byte) { b[24], b[25] = 0, 0 },
		"many streams": func(b []byte) { b[24] = 1 },
		"index":        func(b []byte) { b[27] = 4 },
		"flags":        func(b []byte) { b[28] = 2 },
		"reserved":     func(b []byte) { b[31] = 1 },
		"more":         func(b []byte) { b[63] = 1 },
		"time":         func(b []byte) { b[32] = 0x80 },
		"bytes":        func(b []byte) { b[40] = 0xff },
		"no end":       func(b []byte) { clear(b[32:48]) },
		"reports":      func(b []byte) { clear(b[48:56]) },
		"never report": func(b []byte) { b[48] = 0xff },
	} {
		bad := bytes.Clone(b)
		spoil(bad)
		if got, err := parsePerfHello(bad); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := parsePerfHello(b[:63]); err == nil {
		t.Error("a short hello is taken")
	}
}

func TestShare(t *testing.T) {
	for _, n := range []int64{0, 7, 100, 1 << 40} {
		sum := int64(0)
		for i := range 7 {
			sum += share(n, 7, i)
		}
		if sum != n {
			t.Errorf("the shares of %d are %d", n, sum)
		}
	}
}

// A sink counts the same however the records are cut, and stops at their end.
func TestRecordSink(t *testing.T) {
	var stream []byte
	for _, n := range []int{1, 1000, perfBlock, 3} {
		stream = append(appendRecordHead(stream, recordData, n), make([]byte, n)...)
	}
	stream = appendTally(stream, recordEnd, tally{bytes: 42})
	for _, step := range []int{1, 7, 8, 1456, 1 << 20, len(stream)} {
		var got atomic.Int64
		s := &recordSink{got: &got}
		var err error
		for i := 0; i < len(stream) && err == nil; i += step {
			_, err = s.Write(stream[i:min(i+step, len(stream))])
		}
		if !errors.Is(err, errPerfEnd) || !s.ended || s.end.bytes != 42 || got.Load() != 1+1000+perfBlock+3 {
			t.Errorf("in steps of %d: %v, %+v, %d bytes", step, err, s.end, got.Load())
		}
	}
}

func TestRecordSinkRefuses(t *testing.T) {
	end := appendTally(nil, recordEnd, tally{})
	huge := appendTally(nil, recordEnd, tally{})
	binary.BigEndian.PutUint64(huge[8:], 1<<63)
	for name, b := range map[string][]byte{
		"nothing":         appendRecordHead(nil, recordData, 0),
		"too long":        appendRecordHead(nil, recordData, perfMaxRecord+1),
		"report":          appendTally(nil, recordReport, tally{}),
		"type 0":          make([]byte, 8),
		"type 9":          appendRecordHead(nil, 9, 5),
		"length of end":   appendRecordHead(nil, recordEnd, 31),
		"data after end":  append(end, 0),
		"count of no end": huge,
	} {
		var got atomic.Int64
		s := &recordSink{got: &got}
		if _, err := s.Write(b); err == nil || errors.Is(err, errPerfEnd) || s.bad == nil || s.ended {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The counts of sender and receiver are compared.
func TestPerfCountsDiffer(t *testing.T) {
	n := newMemNet()
	here, there := n.memLinks()
	b := append(appendRecordHead(nil, recordData, 5), "hello"...)
	if _, err := here.Write(appendTally(b, recordEnd, tally{bytes: 6})); err != nil {
		t.Fatal(err)
	}
	s := &perfStream{l: there, hello: perfHello{every: time.Hour}}
	if v := judge(s.run()); v.status != exitIntegrity {
		t.Errorf("%+v", v)
	}
}

func FuzzPerfParsers(f *testing.F) {
	f.Add(perfHello{streams: 1, time: 1, every: time.Second}.encode())
	f.Add(appendTally(appendRecordHead(nil, recordData, 3), recordEnd, tally{bytes: 1}))
	f.Add(encodePerfAnswer(perfGo))
	f.Add(encodePerfAnswer(perfBusy))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parsePerfHello(b); err == nil && !bytes.Equal(h.encode(), b) {
			t.Errorf("%x is read as %+v, which is %x", b, h, h.encode())
		}
		goes := len(b) == perfAnswerLen && bytes.HasPrefix(b, encodePerfAnswer(perfGo)[:12])
		if err := parsePerfAnswer(b); goes != (err == nil) {
			t.Errorf("the answer %x is %v", b, err)
		}
		var whole, cut atomic.Int64
		w, c := &recordSink{got: &whole}, &recordSink{got: &cut}
		_, werr := w.Write(b)
		var cerr error
		for i := range b {
			if _, cerr = c.Write(b[i : i+1]); cerr != nil {
				// One byte more tells that the end was not the end.
				if errors.Is(cerr, errPerfEnd) && i+1 < len(b) {
					continue
				}
				break
			}
		}
		if (werr == nil) != (cerr == nil) || whole.Load() != cut.Load() || w.ended != c.ended {
			t.Errorf("whole: %v, %d; byte by byte: %v, %d", werr, whole.Load(), cerr, cut.Load())
		}
		if kind, tl, err := readTally(bytes.NewReader(b)); err == nil {
			if again := appendTally(nil, kind, tl); !bytes.Equal(again, b[:len(again)]) {
				t.Errorf("%x is read as %+v", b, tl)
			}
		}
	})
}
