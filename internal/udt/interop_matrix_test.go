package udt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

const (
	// matrixRuns is how often each cell with faults is run; once if unset.
	matrixRuns = "UDTCP_INTEROP_RUNS"
	// matrixFile is where the table is written, too.
	matrixFile = "UDTCP_INTEROP_MATRIX"
)

// A lane is a way in which we and libudt may be joined: a column of the matrix.
type lane struct {
	name string
	// each moves size bytes to libudt and as many from it, and compares them.
	each func(p path, t *testing.T, l *lab, size int64)
	// meets says that there is neither a listener nor a cookie.
	meets bool
}

var lanes = []lane{
	{name: "client stream", each: func(p path, t *testing.T, l *lab, size int64) { p.bothWays(t, l, asClient, size) }},
	{name: "listener stream", each: func(p path, t *testing.T, l *lab, size int64) { p.bothWays(t, l, asListener, size) }},
	{name: "rendezvous stream", each: func(p path, t *testing.T, l *lab, size int64) { p.swap(t, l, bothAtOnce, size) }, meets: true},
	{name: "client messages", each: func(p path, t *testing.T, l *lab, size int64) { p.messages(t, l, p.by(asClient), size) }},
	{name: "listener messages", each: func(p path, t *testing.T, l *lab, size int64) { p.messages(t, l, p.by(asListener), size) }},
	{name: "rendezvous messages", each: func(p path, t *testing.T, l *lab, size int64) { p.messages(t, l, meeting, size) }, meets: true},
}

// A joint starts a peer in this mode and joins it over p.
type joint func(p path, t *testing.T, l *lab, mode string) (*udt.Conn, *peer)

func (path) by(r role) joint {
	return func(p path, t *testing.T, l *lab, mode string) (*udt.Conn, *peer) { return p.connect(t, l, r, mode) }
}

func meeting(p path, t *testing.T, l *lab, mode string) (*udt.Conn, *peer) {
	tr := p.tryst(t, l, mode)
	conn, err := tr.meet(t, bothAtOnce)
	if err != nil {
		t.Fatal(err)
	}
	return conn, tr.theirs
}

// bothWays moves size bytes to libudt and from it, one connection after the
// other.
func (p path) bothWays(t *testing.T, l *lab, r role, size int64) {
	t.Helper()
	p.send(t, l, r, size)
	p.receive(t, l, r, size)
}

// matrixMessage is how long the matrix's messages are, in bytes: the least
// buffers have room for three.
const matrixMessage = 10_000

// messages moves size bytes in messages to libudt and from it, in order, one
// connection after the other.
func (p path) messages(t *testing.T, l *lab, join joint, size int64) {
	t.Helper()
	const seed = 78
	p.cfg.Type = udt.Datagram
	conn, remote := join(p, t, l, fmt.Sprintf("sink --dgram --msg %d", matrixMessage))
	sendMessages(t, conn, seed, size)
	if err := conn.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	wantReceived(t, remote, seed, size)

	conn, remote = join(p, t, l, fmt.Sprintf("source --dgram --inorder --msg %d --bytes %d", matrixMessage, size))
	receiveMessages(t, conn, remote, size)
}

func sendMessages(t *testing.T, conn *udt.Conn, seed uint64, size int64) {
	t.Helper()
	said := newPattern(seed)
	for left := size; left > 0; left -= matrixMessage {
		m := make([]byte, min(left, matrixMessage))
		_, _ = said.Read(m) // never fails
		if err := conn.WriteMessage(m, udt.MessageOptions{InOrder: true}); err != nil {
			t.Fatalf("with %d bytes to go: %v", left, err)
		}
	}
}

func wantReceived(t *testing.T, remote *peer, seed uint64, size int64) {
	t.Helper()
	if got := remote.good(); got.received != size || got.digestGiven != patternDigest(seed, size) {
		t.Fatalf("libudt received %d bytes with digest %x, want %d with %x", got.received, got.digestGiven, size, patternDigest(seed, size))
	}
}

// receiveMessages reads to the end and compares what came, and in what pieces,
// with what libudt sent.
func receiveMessages(t *testing.T, conn *udt.Conn, remote *peer, size int64) {
	t.Helper()
	h := fnv.New64a()
	m := make([]byte, 2*matrixMessage)
	got := int64(0)
	for {
		n, err := conn.ReadMessage(m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || int64(n) != min(size-got, matrixMessage) {
			t.Fatalf("a message of %d bytes after %d of %d bytes: %v", n, got, size, err)
		}
		_, _ = h.Write(m[:n]) // never fails
		got += int64(n)
	}
	if err := conn.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if sent := remote.good(); got != size || sent.sent != size || h.Sum64() != sent.digestSent {
		t.Fatalf("received %d bytes with digest %x, libudt sent %d with %x", got, h.Sum64(), sent.sent, sent.digestSent)
	}
}

// A condition is what is special about a run: a row of the matrix.
type condition struct {
	name   string
	size   int64
	faults bool
	path   func(run uint64) path
	cookie bool // it is about the listener's cookie
}

func same(p path) func(uint64) path { return func(uint64) path { return p } }

// faulty has packets got lost, doubled and out of order by a rule that depends
// on the run.
func faulty(make func(seed uint64) rule) func(uint64) path {
	return func(run uint64) path {
		return path{rule: func(r role) rule { return make(run*7 + uint64(len(r))) }}
	}
}

func conditions() []condition {
	const size = mebibyte
	mss := func(n int) condition {
		p := path{cfg: udt.Config{MSS: n}, flags: fmt.Sprintf("--mss %d", n)}
		return condition{name: fmt.Sprintf("MSS %d", n), size: size, path: same(p)}
	}
	fc := func(n int) condition {
		p := path{cfg: udt.Config{FlowWindow: n}, flags: fmt.Sprintf("--fc %d", n)}
		return condition{name: fmt.Sprintf("FC %d", n), size: size, path: same(p)}
	}
	loss := func(share float64) condition {
		return condition{
			name: fmt.Sprintf("%g %% loss", share*100), size: 200_000, faults: true,
			path: faulty(func(seed uint64) rule { return lose(share, seed) }),
		}
	}
	return []condition{
		{name: "as it is", size: size, path: same(path{})},
		mss(576), mss(1000), mss(1500), mss(9000),
		fc(32), fc(64),
		{name: "small buffers", size: size, path: same(path{
			cfg: udt.Config{SendBuffer: 48 << 10, ReceiveBuffer: 48 << 10}, flags: "--sndbuf 49152 --rcvbuf 49152",
		})},
		{name: "large buffers", size: 8 * size, path: same(path{
			cfg: udt.Config{Window: 512 << 20}, flags: "--fc 100000 --sndbuf 100000000 --rcvbuf 100000000 --udpsnd 1000000 --udprcv 1000000",
		})},
		{name: "non-blocking peer", size: size, path: same(path{flags: "--nonblock"})},
		{
			name: "cookie of another minute", size: 10_000, cookie: true,
			path: func(uint64) path { return path{rule: spoilFirstCookie} },
		},
		loss(0.01), loss(0.02), loss(0.05),
		{name: "loss, copies, out of order", size: 200_000, faults: true, path: faulty(func(seed uint64) rule {
			return both(lose(0.01, seed), jumble(20, 3*time.Millisecond, seed))
		})},
	}
}

// TestInteropMatrix runs every condition over every lane and prints a table of
// what ran and what came of it.
func TestInteropMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("TestInterop has one run of each kind")
	}
	l := newLab(t)
	repeats := 1
	if v := os.Getenv(matrixRuns); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("%s=%s: not a number of runs", matrixRuns, v)
		}
		repeats = n
	}
	var m matrix
	for _, lane := range lanes {
		m.columns = append(m.columns, lane.name)
	}
	t.Run("runs", func(t *testing.T) {
		for _, c := range conditions() {
			for _, lane := range lanes {
				if c.cookie && lane.meets {
					continue
				}
				runs := 1
				if c.faults {
					runs = repeats
				}
				cell := m.cell(c.name, lane.name, c.faults)
				for run := range runs {
					t.Run(fmt.Sprintf("%s/%s/%d", c.name, lane.name, run), func(t *testing.T) {
						t.Parallel()
						defer m.note(cell, t, 2)
						lane.each(c.path(uint64(run)), t, l, c.size)
					})
				}
			}
		}
		for name, role := range map[string]role{"client stream": asClient, "listener stream": asListener} {
			conns := m.cell("100 connections, 10 threads", name, false)
			t.Run("100 connections/"+name, func(t *testing.T) {
				defer m.note(conns, t, 100)
				hundredConnections(t, l, role)
			})
			talks := m.cell("PyUDT's conversations", name, false)
			for _, c := range conversations {
				t.Run("PyUDT/"+c.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					defer m.note(talks, t, 1)
					c.holdWith(t, l, role, path{})
				})
			}
		}
	})
	table := m.String()
	t.Log("\n" + table)
	if name := os.Getenv(matrixFile); name != "" {
		if err := os.WriteFile(name, []byte(table), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// hundredConnections has ten threads make ten connections each, all from one
// port of ours or to it, on which data goes there and back.
func hundredConnections(t *testing.T, l *lab, r role) {
	const size = 50_000
	const threads, conns = 10, 100
	if r == asListener {
		ln := path{}.listen(t)
		remote := l.dial(t, addrPort(ln.Addr()), fmt.Sprintf("--mode both --conns %d --threads %d --share --bytes %d --seed 100 --rseed 100", conns, threads, size))
		echoes := make([]func() error, conns)
		for i := range echoes {
			conn := accept(t, ln)
			echoes[i] = func() error { return echo(conn) }
		}
		if err := together(echoes...); err != nil {
			t.Error(err)
		}
		wantAllGood(t, remote, conns)
		return
	}
	remote := l.serve(t, fmt.Sprintf("--mode echo --conns %d", conns))
	e := bound(t, nil)
	callers := make([]func() error, threads)
	for i := range callers {
		callers[i] = func() error {
			for k := range conns / threads {
				if err := callEcho(t, e, remote.loopback(), uint64(i*100+k), size); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if err := together(callers...); err != nil {
		t.Error(err)
	}
	wantAllGood(t, remote, conns)
}

// A matrix is the table of results. Its zero value is empty.
type matrix struct {
	mu      sync.Mutex
	columns []string
	rows    []string
	cells   map[[2]string]*matrixCell
}

type matrixCell struct {
	runs, failed int
	faults       bool
}

// cell returns the place of a row and column, which is made if need be.
func (m *matrix) cell(row, column string, faults bool) *matrixCell {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cells == nil {
		m.cells = map[[2]string]*matrixCell{}
	}
	key := [2]string{row, column}
	if c := m.cells[key]; c != nil {
		return c
	}
	if len(m.rows) == 0 || m.rows[len(m.rows)-1] != row {
		known := false
		for _, r := range m.rows {
			known = known || r == row
		}
		if !known {
			m.rows = append(m.rows, row)
		}
	}
	m.cells[key] = &matrixCell{faults: faults}
	return m.cells[key]
}

// note counts the runs that t stands for; it is deferred.
func (m *matrix) note(c *matrixCell, t *testing.T, runs int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.runs += runs
	if t.Failed() {
		c.failed += runs
	}
}

// String is the table: in each cell how many runs there were, and how many of
// them failed if any did.
func (m *matrix) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	total, withFaults, failed := 0, 0, 0
	fmt.Fprintf(&b, "%-28s", "runs with libudt 4.11")
	for _, column := range m.columns {
		fmt.Fprintf(&b, "  %20s", column)
	}
	b.WriteByte('\n')
	for _, row := range m.rows {
		fmt.Fprintf(&b, "%-28s", row)
		for _, column := range m.columns {
			c := m.cells[[2]string{row, column}]
			text := "-"
			if c != nil && c.runs > 0 {
				if text = fmt.Sprintf("%d ok", c.runs); c.failed > 0 {
					text = fmt.Sprintf("%d FAILED of %d", c.failed, c.runs)
				}
				total, failed = total+c.runs, failed+c.failed
				if c.faults {
					withFaults += c.runs
				}
			}
			fmt.Fprintf(&b, "  %20s", text)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d runs, %d of them with faults on the way; mismatches %d\n", total, withFaults, failed)
	return b.String()
}

// spoilFirstCookie makes the first cookie a wrong one. To a libudt listener one
// of another minute is the same.
func spoilFirstCookie(role) rule {
	done := false
	return func(w way, b []byte) fate {
		if !done && w == toClient && isHandshake(b) && handshakeRequest(b) == 1 {
			done = true
			at := 16 + 28
			binary.BigEndian.PutUint32(b[at:], binary.BigEndian.Uint32(b[at:])^0x5a5a5a5a)
		}
		return fate{}
	}
}
