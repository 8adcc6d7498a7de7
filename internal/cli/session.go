package cli

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/udtcp/udtcp/internal/transfer"
)

// hooks are how package transfer tells of what happens while it runs.
type hooks struct {
	progress  *transfer.Progress
	onFile    func(transfer.FileDone)
	onMessage func(string)

	conn        io.ReadWriteCloser // the first link, as transfer wants it
	retry       transfer.Retry
	onReconnect func(transfer.Reconnecting)
}

// exchange is one call of transfer.Send, transfer.Recv or their like for UDT4's exchange.
type exchange func(ctx context.Context, m *meter, h hooks) (transfer.Result, error)

// transferCommand is what send and recv have in common once their options are read.
type transferCommand struct {
	o       *commonOptions
	ep      endpoint
	carries payload
	trust   *trustOptions // whom to speak with; nil where caution is set
	verb    string        // "sent", "received"
	caution string        // what to warn of, if it is not that of every transfer
	run     exchange
	ready   func()                                    // called before the first connection, when what is to be read beforehand has been; may be nil
	armed   func(m *meter, p *transfer.Progress) bool // whether something should be moving; nil: see mustMove
}

// start warns, connects and runs the transfer, or with -k any number of them.
func (c *transferCommand) start(ctx context.Context, a *app) error {
	switch {
	case c.caution != "":
		a.out.warn("%s", c.caution)
	case c.o.insecure:
		a.out.warn("--insecure: nothing is encrypted and nobody is authenticated; anyone on the path can read and change what is sent")
	default:
		if err := a.protect(c.trust, c.ep.listen || c.o.rendezvous, secureProtocol, transfer.Greet); err != nil {
			return err
		}
	}
	if c.ready != nil {
		c.ready()
	}
	if !c.o.keepOpen {
		l, retry, stop, err := a.connect(ctx, c.o, c.ep)
		if err != nil {
			return err
		}
		defer stop()
		m := newMeter(l)
		a.outcome, err = c.session(ctx, a, m, m.carrier(), retry, "")
		return err
	}
	lis, err := a.listen(c.o, c.ep.local)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	hub := transfer.NewHub(!c.o.insecure)
	return a.serve(ctx, lis, hub, c.o.maxSessions, func(ctx context.Context, l link, seat func() bool) {
		peer := l.RemoteAddr().String()
		m := newMeter(l)
		var conn io.ReadWriteCloser = m
		var retry transfer.Retry
		if c.o.retryFor > 0 {
			var err error
			if conn, err = hub.Take(ctx, m, true); err != nil {
				a.out.detail("%s: %v", peer, err)
			}
			if conn == nil {
				return // it went on with a session, or was of no use
			}
			retry = transfer.Retry{For: c.o.retryFor, Hub: hub}
		}
		if !seat() {
			_ = m.Abort()
			return
		}
		out, err := c.session(ctx, a, m, conn, retry, peer)
		v := judge(err)
		if v.status != exitOK {
			a.out.fail(verdict{message: peer + ": " + v.message, hint: v.hint})
		}
		a.events.emit("end", out.event(v))
		mu.Lock()
		defer mu.Unlock()
		a.outcome.add(out)
	})
}

// session runs one transfer over conn, which is m or what has become of it, and over other links as they are found, and
// closes the last. peer is set where several are served side by side. A guest that is not let in has no outcome.
func (c *transferCommand) session(ctx context.Context, a *app, m *meter, conn io.ReadWriteCloser, retry transfer.Retry, peer string) (outcome, error) {
	who := ""
	if peer != "" {
		who = peer + ": "
	}
	var planned atomic.Bool // it is not because the last connection was lost that another is made
	h := hooks{
		progress: new(transfer.Progress),
		onFile: func(f transfer.FileDone) {
			if a.out.detailed() {
				a.out.detail("%s%s", who, c.fileLine(f))
			}
			a.events.emit("file", fileEvent{Name: f.Name, Size: f.Size, Digest: f.Digest, ResumedBytes: f.Resumed, Peer: peer})
		},
		onMessage: func(line string) { a.out.warn("%s%s", who, line) },

		conn: conn, retry: retry,
		onReconnect: func(r transfer.Reconnecting) {
			m.parted.Store(true)
			if planned.Store(r.For == 0); r.For == 0 {
				a.out.detail("%sgoing on over a fresh connection after %s", who, formatSize(r.Offset))
				return
			}
			a.out.info("%sconnection lost after %s: %s; trying for %s to reconnect", who, formatSize(r.Offset), r.Reason, formatSeconds(r.For))
			a.events.emit("reconnect", reconnectEvent{Reason: r.Reason, Offset: r.Offset, Peer: peer})
		},
	}
	if !c.o.insecure {
		h.retry.LineLimit = a.env.lineLimit
	}
	h.retry.Found = func(conn io.ReadWriteCloser) {
		next := meterOf(conn)
		m.join(next)
		if planned.Load() {
			return // the user is not to notice
		}
		a.connected(next.link)
		a.out.info("%sconnected again, going on", who)
	}
	ctx, stopWatch := watchProgress(ctx, c.o.timeout, m.progress, func() bool { return !m.parted.Load() && c.mustMove(m, h.progress) }, m.Silence)
	var began time.Time
	var stopReport func() // nil until the other end has accepted this one
	begin := func() {
		began = time.Now()
		a.connected(m.link)
		stopReport = a.report(m, peer, c.carries, func() sample {
			return sample{
				bytes: h.progress.Bytes(), total: h.progress.Total(),
				files: h.progress.Files(), totalFiles: h.progress.TotalFiles(), name: h.progress.Name(),
			}
		})
	}
	if e, ok := conn.(*entrant); ok {
		m.parted.Store(true) // the guest waits on a clock of its own
		e.entered = func() {
			m.parted.Store(false)
			begin()
		}
	} else {
		begin()
	}
	res, err := c.run(ctx, m, h)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	stopWatch()
	if stopReport == nil {
		return outcome{}, err
	}
	stopReport()
	l := m.newest()
	st := l.Stats(false)
	a.closeBuffers(l, &st)
	out := outcome{
		peer: peer, files: res.Files, kept: res.Kept, bytes: res.Bytes, resumed: res.Resumed, elapsed: time.Since(began),
		digest: res.Digest, digestAlgorithm: string(res.DigestAlgorithm), stats: &st,
	}
	if err != nil {
		// It is closed already where the transfer got as far as failing; what then is left to close cannot matter.
		_ = l.Abort()
		return out, err
	}
	// All is well, and what is left to be said only spares the other end the wait for it.
	if err := l.Leave(); err != nil {
		a.out.detail("%sclosing: %v", who, err)
	}
	a.out.info("%s%s", who, summary(c.verb, out))
	return out, nil
}

// mustMove says whether bytes should be crossing the link right now, so that a standstill is a fault. The peer's first
// word should come at once. After that a stream may pause as its source or its reader does, and when all bytes are there
// the receiver's disk may take its time to make them durable: then only the connection itself knows whether the other end
// is still alive.
func (c *transferCommand) mustMove(m *meter, p *transfer.Progress) bool {
	if c.armed != nil {
		return c.armed(m, p)
	}
	if m.in.Load() == 0 {
		return true
	}
	total := p.Total()
	return c.carries == payload{} && total >= 0 && p.Bytes() < total
}

// connected tells of a new connection.
func (a *app) connected(l link) {
	peer, cc, mss := l.RemoteAddr().String(), l.CongestionControl(), l.MSS()
	a.out.detail("connected to %s, mss %d, congestion control %s", peer, mss, cc)
	a.events.emit("connected", connectedEvent{Peer: peer, PeerKey: peerKey(l), CC: cc, MSS: mss})
}

// fileLine tells of a file that is done.
func (c *transferCommand) fileLine(f transfer.FileDone) string {
	verb, digest := c.verb, f.Digest
	if f.Resumed == f.Size && f.Size > 0 {
		verb = "there already:"
	}
	if digest == "" {
		digest = "same size and time"
	}
	return verb + " " + quote(f.Name) + ", " + formatSize(f.Size) + ", " + digest
}

// summary is the last line of a transfer that went well.
func summary(verb string, o outcome) string {
	files := ""
	if o.files != 1 {
		files = formatCount(o.files, "file") + ", "
	}
	s := verb + " " + files + formatSize(o.bytes) + " in " + formatSeconds(o.elapsed) + ", " + formatRate(rate(o.bytes-o.resumed, o.elapsed))
	if o.kept > 0 {
		s += ", " + formatCount(o.kept, "file") + " there already"
	}
	if o.digest != "" {
		s += ", " + o.digestAlgorithm + " " + o.digest
	}
	return s
}
