package simnet

import (
	"bytes"
	"math"
	"math/bits"
	"slices"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// mbit12 takes exactly 1 ms to send a packet of 1500 bytes, the size of a datagram of 1472.
const mbit12 = 12e6

// flood sends n numbered datagrams of the given size, each a step after the one before.
func flood(l *Link, n, size int, step int64) (ds []Delivery) {
	b := make([]byte, size)
	for i := range n {
		putNumber(b, i)
		ds = l.Send(int64(i)*step, b, ds)
	}
	return ds
}

func putNumber(b []byte, i int) {
	b[0], b[1], b[2] = byte(i>>16), byte(i>>8), byte(i)
}

func number(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

func numbers(ds []Delivery) (ns []int) {
	for _, d := range ds {
		ns = append(ns, number(d.Buf))
	}
	return ns
}

// wantNear checks a count against a binomial distribution, five standard deviations wide.
func wantNear(t *testing.T, what string, got uint64, n int, p float64) {
	t.Helper()
	mean, dev := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
	if math.Abs(float64(got)-mean) > 5*dev {
		t.Errorf("%s: %d of %d, want %.0f ± %.0f", what, got, n, mean, 5*dev)
	}
}

func wantBalance(t *testing.T, s LinkStats) {
	t.Helper()
	if s.Seen != s.Passed+s.Lost+s.QueueFull+s.Outage+s.TooBig {
		t.Errorf("counts do not add up: %+v", s)
	}
}

func TestPerfectLink(t *testing.T) {
	l := NewLink(Params{}, 1)
	b := []byte("datagram")
	ds := l.Send(5, b, nil)
	ds = l.Send(5, nil, ds)
	clear(b)
	if len(ds) != 2 || ds[0].At != 5 || string(ds[0].Buf) != "datagram" || ds[1].At != 5 || len(ds[1].Buf) != 0 {
		t.Errorf("got %+v", ds)
	}
	if s := l.Stats(); s != (LinkStats{Seen: 2, Passed: 2, Bytes: 8}) {
		t.Errorf("got %+v", s)
	}
}

func TestCopiesAreApart(t *testing.T) {
	l := NewLink(Params{Duplicate: 1}, 1)
	for _, size := range []int{10, slabSize / 4, slabSize/4 + 1, slabSize - 1} {
		want := bytes.Repeat([]byte{7}, size)
		ds := l.Send(0, want, nil)
		ds = l.Send(0, want, ds)
		for i, d := range ds {
			if cap(d.Buf) != size && size <= slabSize/4 {
				t.Errorf("%d bytes have a capacity of %d", size, cap(d.Buf))
			}
			if !bytes.Equal(d.Buf, want) {
				t.Errorf("%d bytes: copy %d was written to", size, i)
			}
			clear(d.Buf)
		}
	}
}

func TestDelay(t *testing.T) {
	l := NewLink(Params{Delay: 30 * time.Millisecond}, 1)
	for i, d := range flood(l, 10, 100, ms) {
		if d.At != int64(i)*ms+30*ms {
			t.Errorf("datagram %d arrives at %d", i, d.At)
		}
	}
}

func TestRate(t *testing.T) {
	l := NewLink(Params{Rate: mbit12, Delay: time.Second}, 1)
	for i, d := range flood(l, 1000, 1472, 0) {
		if want := int64(i+1)*ms + int64(time.Second); d.At != want {
			t.Fatalf("datagram %d arrives at %d, want %d", i, d.At, want)
		}
	}
	// After a pause the serialiser owes nothing.
	if d := l.Send(5000*ms, make([]byte, 1472), nil)[0]; d.At != 6001*ms {
		t.Errorf("after a pause: at %d", d.At)
	}
}

// Fractions of a nanosecond must not add up: 10 Gb/s would drift by a thousandth.
func TestRateHasNoDrift(t *testing.T) {
	for _, rate := range []float64{9.7e9, 10e9, 7, 1e6 / 3} {
		l := NewLink(Params{Rate: rate}, 1)
		const n = 100_000
		ds := flood(l, n, 1000, 0)
		for _, i := range []int{0, 1, 9, n - 1} {
			want := float64(i+1) * 1028 * 8 * 1e9 / rate
			if got := float64(ds[i].At); math.Abs(got-want) > 1+want*1e-12 {
				t.Errorf("%g bit/s: datagram %d arrives at %g, want %g", rate, i, got, want)
			}
		}
	}
}

// Nor is a pause shortened by the fraction that the packet before it left over.
func TestFractionEndsWithThePause(t *testing.T) {
	l := NewLink(Params{Rate: 3e9}, 1)
	b := make([]byte, 100) // 341.33 ns
	for i := range int64(5) {
		if d := l.Send(i*ms, b, nil)[0]; d.At != i*ms+341 {
			t.Errorf("datagram %d takes %d ns", i, d.At-i*ms)
		}
	}
}

// The packet in the serialiser does not wait, whatever its size.
func TestTinyQueue(t *testing.T) {
	l := NewLink(Params{Rate: mbit12, Queue: 1}, 1)
	if got := numbers(flood(l, 10, 1472, ms/2)); !slices.Equal(got, []int{0, 2, 4, 6, 8}) {
		t.Errorf("%v pass", got)
	}
}

func TestQueueIsDropTail(t *testing.T) {
	l := NewLink(Params{Rate: mbit12, Queue: 3000}, 1)
	at := func(now int64, first, n int) (got []int) {
		b := make([]byte, 1472)
		for i := range n {
			putNumber(b, first+i)
			got = append(got, numbers(l.Send(now, b, nil))...)
		}
		return got
	}
	if got := at(0, 0, 10); !slices.Equal(got, []int{0, 1, 2}) { // one in the serialiser, two waiting
		t.Errorf("at once: %v pass", got)
	}
	if got := at(ms-1, 10, 2); got != nil {
		t.Errorf("before the first has left: %v pass", got)
	}
	if got := at(ms, 20, 3); !slices.Equal(got, []int{20}) {
		t.Errorf("after the first has left: %v pass", got)
	}
	if got := at(10*ms, 30, 4); !slices.Equal(got, []int{30, 31, 32}) {
		t.Errorf("after all have left: %v pass", got)
	}
	s := l.Stats()
	if s.QueueFull != 7+2+2+1 {
		t.Errorf("got %+v", s)
	}
	wantBalance(t, s)
}

// A long queue makes its ring grow and wrap; the bytes in it are known all the same.
func TestLongQueue(t *testing.T) {
	const room = 1000
	l := NewLink(Params{Rate: mbit12, Queue: room * 1500}, 1)
	b := make([]byte, 1472)
	passed := 0
	for i := range 5000 { // twice the rate
		passed += len(l.Send(int64(i)*ms/2, b, nil))
	}
	if want := 1 + room + 2499; passed != want {
		t.Errorf("%d pass, want %d", passed, want)
	}
}

func TestLoss(t *testing.T) {
	const n = 100_000
	l := NewLink(Params{Loss: 0.01}, 1)
	ds := flood(l, n, 10, 1)
	s := l.Stats()
	wantNear(t, "lost", s.Lost, n, 0.01)
	wantBalance(t, s)
	if len(ds) != int(s.Passed) {
		t.Errorf("%d deliveries: %+v", len(ds), s)
	}
	if all := NewLink(Params{Loss: 1}, 1); len(flood(all, 1000, 10, 1)) != 0 {
		t.Error("some pass at a loss of 1")
	}
}

func TestBursts(t *testing.T) {
	for _, mean := range []float64{0, 1, 3, 20} {
		const n, start = 500_000, 0.002
		l := NewLink(Params{BurstStart: start, BurstMean: mean}, 1)
		got := numbers(flood(l, n, 10, 1))
		var lengths []int
		for i := 1; i < len(got); i++ {
			if gap := got[i] - got[i-1] - 1; gap > 0 {
				lengths = append(lengths, gap)
			}
		}
		sum := 0
		for _, v := range lengths {
			sum += v
		}
		mean = max(mean, 1)
		want := mean / (1 - start) // now and then one burst begins where the last ended
		dev := max(mean, 1) / math.Sqrt(float64(len(lengths)))
		if average := float64(sum) / float64(len(lengths)); math.Abs(average-want) > 5*dev {
			t.Errorf("%d bursts of mean length %.2f, want %.2f ± %.2f", len(lengths), average, want, 5*dev)
		}
		if bursts := float64(n) / (1/start + mean); math.Abs(float64(len(lengths))-bursts) > 5*math.Sqrt(bursts) {
			t.Errorf("mean %v: %d bursts, want about %.0f", mean, len(lengths), bursts)
		}
	}
}

func TestJitterKeepsOrder(t *testing.T) {
	const n, delay, jitter = 10_000, 10 * ms, 5 * ms
	l := NewLink(Params{Delay: time.Duration(delay), Jitter: time.Duration(jitter)}, 1)
	var late, sum, last int64
	for i, d := range flood(l, n, 10, ms) {
		extra := d.At - int64(i)*ms - delay
		if extra < 0 || extra > jitter {
			t.Fatalf("datagram %d is %d ns late", i, extra)
		}
		if d.At < last || number(d.Buf) != i {
			t.Fatalf("datagram %d arrives at %d, after one at %d", i, d.At, last)
		}
		last, sum = d.At, sum+extra
		if extra > jitter/2 {
			late++
		}
	}
	if late < n/3 || late > n*9/10 || sum/n < jitter/3 {
		t.Errorf("%d of %d in the later half, mean %d ns", late, n, sum/n)
	}
}

func TestReorder(t *testing.T) {
	const n = 20_000
	l := NewLink(Params{Delay: time.Second, Reorder: 0.05, ReorderBy: 3500 * time.Microsecond}, 1)
	ds := flood(l, n, 10, ms)
	held := uint64(0)
	for i, d := range ds {
		switch extra := d.At - int64(i)*ms - int64(time.Second); extra {
		case 0:
		case 3_500_000:
			held++
		default:
			t.Fatalf("datagram %d is %d ns late", i, extra)
		}
	}
	if s := l.Stats(); s.Reordered != held {
		t.Errorf("%d came late, counted %d", held, s.Reordered)
	}
	wantNear(t, "reordered", held, n, 0.05)
}

func TestDuplicate(t *testing.T) {
	const n = 20_000
	l := NewLink(Params{Duplicate: 0.1}, 1)
	ds := flood(l, n, 10, 1)
	s := l.Stats()
	wantNear(t, "duplicated", s.Duplicated, n, 0.1)
	if len(ds) != n+int(s.Duplicated) || s.Bytes != uint64(len(ds)*10) || s.Passed != n {
		t.Errorf("%d deliveries: %+v", len(ds), s)
	}
	if got := slices.Compact(numbers(ds)); len(got) != n || !slices.IsSorted(got) {
		t.Errorf("copies do not follow originals")
	}
}

func TestCorruptFlipsOneBit(t *testing.T) {
	const n, size = 20_000, 8
	l := NewLink(Params{Corrupt: 0.2}, 1)
	var hits [8 * size]int
	sent := []byte("12345678")
	corrupted := uint64(0)
	for i := range int64(n) {
		got := l.Send(i, sent, nil)[0].Buf
		flipped := 0
		for j := range got {
			diff := got[j] ^ sent[j]
			flipped += bits.OnesCount8(diff)
			if diff != 0 {
				hits[8*j+bits.TrailingZeros8(diff)]++
			}
		}
		switch flipped {
		case 0:
		case 1:
			corrupted++
		default:
			t.Fatalf("%d bits flipped", flipped)
		}
	}
	if string(sent) != "12345678" {
		t.Error("the sender's bytes were touched")
	}
	if s := l.Stats(); s.Corrupted != corrupted {
		t.Errorf("%d came corrupted, counted %d", corrupted, s.Corrupted)
	}
	wantNear(t, "corrupted", corrupted, n, 0.2)
	for bit, got := range hits {
		wantNear(t, "bit", uint64(got), int(corrupted), 1./(8*size))
		if got == 0 {
			t.Errorf("bit %d is never hit", bit)
		}
	}
	if NewLink(Params{Corrupt: 1}, 1).Send(0, nil, nil)[0].Buf == nil {
		return // nothing to flip, and no panic
	}
}

func TestMTU(t *testing.T) {
	l := NewLink(Params{MTU: 1500}, 1)
	for _, c := range []struct{ size, want int }{{1472, 1}, {1473, 0}, {0, 1}} {
		if got := len(l.Send(0, make([]byte, c.size), nil)); got != c.want {
			t.Errorf("%d bytes: %d deliveries", c.size, got)
		}
	}
	if s := l.Stats(); s.TooBig != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestOutages(t *testing.T) {
	outages := []Outage{ // neither in order nor apart
		{At: 50 * time.Millisecond, For: 10 * time.Millisecond},
		{At: 10 * time.Millisecond, For: 20 * time.Millisecond},
		{At: 15 * time.Millisecond, For: 2 * time.Millisecond},
		{At: 55 * time.Millisecond, For: 10 * time.Millisecond},
	}
	l := NewLink(Params{Outages: outages}, 1)
	var want []int
	for i := range 100 {
		if i < 10 || i >= 30 && i < 50 || i >= 65 {
			want = append(want, i)
		}
	}
	if got := numbers(flood(l, 100, 10, ms)); !slices.Equal(got, want) {
		t.Errorf("pass: %v", got)
	}
	s := l.Stats()
	if s.Outage != 35 {
		t.Errorf("got %+v", s)
	}
	wantBalance(t, s)
}

// What waits for the serialiser when the outage comes is lost as well.
func TestOutageMeetsTheQueue(t *testing.T) {
	l := NewLink(Params{Rate: mbit12, Outages: []Outage{{At: 3 * time.Millisecond, For: 4 * time.Millisecond}}}, 1)
	if got := numbers(flood(l, 10, 1472, 0)); !slices.Equal(got, []int{0, 1, 6, 7, 8, 9}) {
		t.Errorf("pass: %v", got)
	}
}

func TestSteps(t *testing.T) {
	steps := []Step{
		{At: 2500 * time.Microsecond, Rate: mbit12 / 2}, // in the middle of the third packet
		{At: 6500 * time.Microsecond, Rate: 0},          // in the middle of the fifth
		{At: 20 * time.Millisecond, Rate: 2 * mbit12},
	}
	l := NewLink(Params{Rate: mbit12, Steps: steps}, 1)
	var got []int64
	for _, d := range flood(l, 7, 1472, 0) {
		got = append(got, d.At)
	}
	want := []int64{ms, 2 * ms, 3500_000, 5500_000, 6500_000, 6500_000, 6500_000}
	if !slices.Equal(got, want) {
		t.Errorf("arrivals %v, want %v", got, want)
	}
	if d := l.Send(30*ms, make([]byte, 1472), nil)[0]; d.At != 30_500_000 {
		t.Errorf("after the last step: at %d", d.At)
	}
}

func TestTimeDoesNotGoBack(t *testing.T) {
	l := NewLink(Params{Delay: 1}, 1)
	l.Send(100, nil, nil)
	if d := l.Send(50, nil, nil)[0]; d.At != 101 {
		t.Errorf("arrives at %d", d.At)
	}
}

// everything is a link that does all it can.
var everything = Params{
	Rate: 50e6, Delay: 20 * time.Millisecond, Jitter: 3 * time.Millisecond, Queue: 100_000,
	Loss: 0.01, BurstStart: 0.001, BurstMean: 5, Reorder: 0.02, ReorderBy: 4 * time.Millisecond,
	Duplicate: 0.01, Corrupt: 0.01, MTU: 1500,
	Outages: []Outage{{At: time.Second, For: 50 * time.Millisecond}},
	Steps:   []Step{{At: 500 * time.Millisecond, Rate: 20e6}},
}

func TestSameSeedSameTrace(t *testing.T) {
	trace := func(seed uint64) ([]Delivery, LinkStats) {
		l := NewLink(everything, seed)
		return flood(l, 10_000, 1000, 200_000), l.Stats()
	}
	same := func(a, b Delivery) bool { return a.At == b.At && bytes.Equal(a.Buf, b.Buf) }
	a, as := trace(1)
	b, bs := trace(1)
	c, _ := trace(2)
	if !slices.EqualFunc(a, b, same) || as != bs {
		t.Error("the same seed gives another trace")
	}
	if slices.EqualFunc(a, c, same) {
		t.Error("another seed gives the same trace")
	}
	wantBalance(t, as)
	for what, n := range map[string]uint64{
		"passed": as.Passed, "lost": as.Lost, "queue full": as.QueueFull, "outage": as.Outage,
		"reordered": as.Reordered, "duplicated": as.Duplicated, "corrupted": as.Corrupted,
	} {
		if n == 0 {
			t.Errorf("nothing %s: %+v", what, as)
		}
	}
}

// Forward draws as Send does: without corruption both tell the same times.
func TestForwardIsSend(t *testing.T) {
	p := everything
	p.Corrupt = 0
	sent, forwarded := NewLink(p, 1), NewLink(p, 1)
	var ds []Delivery
	var ats []int64
	b := make([]byte, 1000)
	for i := range int64(10_000) {
		ds = sent.Send(i*200_000, b, ds[:0])
		ats = forwarded.Forward(i*200_000, len(b)+headerBytes, ats[:0])
		if !slices.EqualFunc(ds, ats, func(d Delivery, at int64) bool { return d.At == at }) {
			t.Fatalf("packet %d: Send %v, Forward %v", i, ds, ats)
		}
	}
	want, got := sent.Stats(), forwarded.Stats()
	want.Bytes += (want.Passed + want.Duplicated) * headerBytes
	if got != want {
		t.Errorf("Forward counts %+v, Send %+v", got, want)
	}
}

func TestParamsAreNotTouched(t *testing.T) {
	p := Params{
		Outages: []Outage{{At: 2, For: 1}, {At: 1, For: 1}},
		Steps:   []Step{{At: 2, Rate: 1}, {At: 1, Rate: 1}},
	}
	l := NewLink(p, 1)
	l.Send(10, nil, nil)
	if p.Outages[0].At != 2 || p.Steps[0].At != 2 {
		t.Errorf("got %+v", p)
	}
}

func TestSendHardlyAllocates(t *testing.T) {
	l := NewLink(everything, 1)
	b, out, now := make([]byte, 1000), make([]Delivery, 0, 2), int64(0)
	got := testing.AllocsPerRun(5000, func() {
		now += 200_000
		out = l.Send(now, b, out[:0])
	})
	if got >= 1 { // the average is rounded down; memory comes by the slab
		t.Errorf("%v allocations a datagram", got)
	}
}

func BenchmarkLinkSend(b *testing.B) {
	for name, p := range map[string]Params{
		"perfect": {},
		"10Gbps":  {Rate: 10e9, Delay: 50 * time.Millisecond, Queue: 64 << 20, Loss: 0.001},
		"all": {
			Rate: 10e9, Delay: 50 * time.Millisecond, Jitter: time.Millisecond, Queue: 64 << 20, Loss: 0.001,
			BurstStart: 0.0001, BurstMean: 8, Reorder: 0.01, ReorderBy: time.Millisecond, Duplicate: 0.001,
			Corrupt: 0.001, MTU: 1500,
		},
	} {
		b.Run(name, func(b *testing.B) {
			l := NewLink(p, 1)
			buf, out, now := make([]byte, 1472), make([]Delivery, 0, 2), int64(0)
			b.SetBytes(1472)
			for b.Loop() {
				now += 1200
				out = l.Send(now, buf, out[:0])
			}
		})
	}
}
