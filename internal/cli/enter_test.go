package cli

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/transfer/secure"
)

// farNet is a memNet whose listeners are half a round trip away from those who dial.
type farNet struct {
	*memNet
	rtt  time.Duration
	both sync.WaitGroup
}

func (n *farNet) Dial(ctx context.Context, local string, remote netip.AddrPort, o linkOptions) (link, error) {
	far, err := n.memNet.Dial(ctx, local, remote, o)
	if err != nil {
		return nil, err
	}
	here, there := n.memLinks()
	n.both.Go(func() { n.carry(there, far) })
	n.both.Go(func() { n.carry(far, there) })
	return here, nil
}

// carry takes what from says to the other side.
func (n *farNet) carry(from, to link) {
	type parcel struct {
		at time.Time
		b  []byte
	}
	way := make(chan parcel, 1<<10)
	n.both.Go(func() {
		for p := range way {
			<-time.After(time.Until(p.at))
			if p.b == nil {
				_ = to.Close()
			} else if _, err := to.Write(p.b); err != nil {
				_ = from.Close()
			}
		}
	})
	defer close(way)
	for {
		b := make([]byte, 64<<10)
		k, err := from.Read(b)
		if k > 0 {
			way <- parcel{time.Now().Add(n.rtt / 2), b[:k]}
		}
		if err != nil {
			way <- parcel{time.Now().Add(n.rtt / 2), nil}
			return
		}
	}
}

// Being secure costs half a round trip, to see that both ends are, and one for TLS. The question about a file that goes
// alone does not wait for the listener's welcome.
func TestRoundTripsOfALoneFile(t *testing.T) {
	dir := t.TempDir()
	src := writeFile(t, dir, "a", make([]byte, 5<<20))
	took := map[bool]time.Duration{}
	const rtt = time.Second
	for _, insecure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := &farNet{memNet: newMemNet(), rtt: rtt}
			n.capacity = 16 << 20
			flags := []string{"--insecure"}
			if !insecure {
				flags = nil
			}
			r := start(t, procOptions{net: n.memNet}, append([]string{"recv", "--listen=:0", "-o", t.TempDir() + "/"}, flags...)...)
			port := r.listening()
			began := time.Now()
			run(t, procOptions{net: n.memNet, network: n}, append([]string{"send", "127.0.0.1:" + port, src}, flags...)...).ends(0)
			took[insecure] = time.Since(began)
			r.ends(0)
			n.both.Wait()
		})
	}
	if took[false]-took[true] != rtt*3/2 {
		t.Errorf("it took %v, and %v in plain", took[false], took[true])
	}
}

// Who is refused learns that and what to do, at once and only once, whatever it wanted, and although it was about to say so:
// where little fits between the ends it is in its Write then.
func TestRefusedGuests(t *testing.T) {
	dir := t.TempDir()
	src := writeFile(t, dir, "a", make([]byte, 5<<20))
	for name, c := range map[string]struct{ listens, dials []string }{
		"send": {[]string{"recv", "-o", dir + "/in/"}, []string{"send", "HOST", src}},
		"recv": {[]string{"send", src}, []string{"recv", "HOST", "-o", dir + "/in/"}},
		"pipe": {[]string{"recv", "-o", "-"}, []string{"send", "HOST", "-"}},
		"perf": {[]string{"perf", "--secure"}, []string{"perf", "--secure", "HOST"}},
	} {
		for _, capacity := range []int{0, 64} {
			n := newMemNet()
			n.capacity = capacity
			own, other := secure.NewIdentity(), secure.NewIdentity()
			as := func(id secure.Identity) procOptions {
				return procOptions{net: n, stdin: strings.NewReader("stream"), env: map[string]string{"UDTCP_IDENTITY": id.Secret(), "UDTCP_RETRY_FOR": "1h"}}
			}
			l := start(t, as(other), append(c.listens, "--listen=:0")...)
			port := l.listening()
			args := append([]string{}, c.dials...)
			for i, a := range args {
				if a == "HOST" {
					args[i] = "127.0.0.1:" + port
				}
			}
			d := run(t, as(own), append(args, "-v", "--json", "--peer", other.Public().String())...).ends(4)
			d.says("^(?s:.*)udtcp: the other end does not trust this end's key\nudtcp: hint: run there: udtcp key trust " + own.Public().String() + "\n$")
			if out := d.all.String(); strings.Contains(out, "connected") || !strings.Contains(out, `"stats":null`) || strings.Contains(out, `"progress"`) {
				t.Errorf("%s, capacity %d: it had got in: %s", name, capacity, out)
			}
			l.stderr.await("not trusted here", l.done)
			l.signals <- os.Interrupt
			l.ends(130)
			if len(n.dialled) != 1 || n.opened != 0 {
				t.Errorf("%s, capacity %d: %d dials, %d windows opened", name, capacity, len(n.dialled), n.opened)
			}
		}
	}
	if _, err := os.Stat(dir + "/in"); err == nil {
		t.Error("the destination was made")
	}
}

// A listener that never says its word is waited for as long as connecting may take, whatever --timeout says, and is no
// connection. One that says nothing after its word is lost when --timeout says so.
func TestListenerWithoutAWord(t *testing.T) {
	dir := t.TempDir()
	src := writeFile(t, dir, "a", make([]byte, 5<<20))
	send, recv, perf := []string{"send", src, "--retry-for", "1h"}, []string{"recv", "-o", dir + "/in/", "--retry-for", "1h"}, []string{"perf", "--secure"}
	const word = 8 // after the prelude and the seven records of TLS
	for _, c := range []struct {
		listens, dials []string
		at, status     int
		after          time.Duration
		says           string
	}{
		{recv, send, word, 3, 7 * time.Second, "the other end did not say who it is in time"},
		{send, recv, word, 3, 7 * time.Second, "the other end did not say who it is in time"},
		{perf, perf, word, 3, 7 * time.Second, "the other end did not say who it is in time"},
		{recv, send, word + 1, 5, 2 * time.Second, "no progress for 2.00 s"},
		{send, recv, word + 1, 5, 2 * time.Second, "no progress for 2.00 s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newMemNet()
			n.config = t.TempDir()
			l := start(t, procOptions{net: n}, append(slices.Clone(c.listens), "--listen=:0")...)
			m := between(t, n, l.listening(), target{false, c.at}, func(_, _ []byte, _, _ link) bool { return false })
			ctx, stop := context.WithCancel(t.Context())
			served := make(chan struct{})
			go func() { defer close(served); m.serve(ctx) }()
			began := time.Now()
			args := slices.Concat(c.dials[:1], []string{m.door.lis.Addr().String(), "--json", "-v", "--timeout", "2s", "--connect-timeout", "7s"}, c.dials[1:])
			d := run(t, procOptions{net: n}, args...).ends(c.status)
			d.says(c.says)
			if took := time.Since(began); took < c.after || took > 2*c.after {
				t.Errorf("%s: after %v", c.dials, took)
			}
			if got := strings.Contains(d.all.String(), "connected to") && strings.Contains(d.all.String(), `"connected"`); got != (c.at > word) {
				t.Errorf("%s: it had got in: %v: %s", c.dials, got, d.all)
			}
			if got := strings.Contains(d.all.String(), `"progress"`); got && c.at == word {
				t.Errorf("%s: progress without a connection: %s", c.dials, d.all)
			}
			l.signals <- os.Interrupt
			l.wait()
			stop()
			<-served
			m.door.close()
			if m.links != 1 || !m.meant {
				t.Errorf("%s: %d links, held back: %v", c.dials, m.links, m.meant)
			}
		})
	}
}
