package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// mallory sits between an end that dials and one that listens, and passes on what both say piece by piece: the prelude
// first, then the records of TLS. At one piece of one direction it does something else.
type mallory struct {
	n    *memNet
	door *door
	to   netip.AddrPort
	at   target
	does attack

	mu    sync.Mutex
	count map[bool]int // pieces each way, true to the listener
	links int          // joined
	meant bool         // the attack came to pass, and not with a record that says nothing
}

// target is a piece: the how-manieth one to the listener, or from it.
type target struct {
	up bool
	i  int
}

// attack is what is done at a piece. It writes what it likes either way, and says whether to go on.
type attack func(piece, before []byte, forth, back link) (goOn bool)

// stand listens for whoever can be lured there.
func stand(t *testing.T, n *memNet) *door {
	t.Helper()
	lis, err := n.Listen("udp", ":0", linkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDoor(n, lis)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// between puts a mallory before the listener at port.
func between(t *testing.T, n *memNet, port string, at target, does attack) *mallory {
	t.Helper()
	return &mallory{n: n, door: stand(t, n), to: netip.MustParseAddrPort("127.0.0.1:" + port), at: at, does: does, count: map[bool]int{}}
}

// serve joins everyone who dials with the listener, until ctx ends.
func (m *mallory) serve(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		l, err := m.door.next(ctx)
		if err != nil {
			return
		}
		far, err := m.n.Dial(ctx, "", m.to, linkOptions{})
		if err != nil {
			_ = l.Abort()
			continue
		}
		m.links++
		all.Go(func() {
			var two sync.WaitGroup
			two.Go(func() { m.pass(true, l, far) })
			two.Go(func() { m.pass(false, far, l) })
			two.Wait()
		})
	}
}

// pass passes one direction on. When one end ends, so does the other.
func (m *mallory) pass(up bool, from, to link) {
	before := []byte("UDTCP\x01p\n") // would have been the prelude of a plain end
	for i := 0; ; i++ {
		piece, err := readPiece(from, i)
		if err != nil {
			if errors.Is(err, io.EOF) {
				_ = to.Close()
			} else {
				_ = to.Abort()
			}
			return
		}
		m.mu.Lock()
		m.count[up]++
		m.mu.Unlock()
		if m.does != nil && (target{up, i}) == m.at {
			m.meant = !isEmpty(piece) && !isEmpty(before)
			if !m.does(piece, before, to, from) {
				_, _ = io.Copy(io.Discard, from)
				return
			}
		} else if _, err := to.Write(piece); err != nil {
			_ = from.Abort()
			return
		}
		before = piece
	}
}

// isEmpty recognises change_cipher_spec, which TLS 1.3 sends to look like TLS 1.2, and passes over.
func isEmpty(piece []byte) bool { return len(piece) > 0 && piece[0] == 20 }

// readPiece reads the prelude, or a record.
func readPiece(r io.Reader, i int) ([]byte, error) {
	if i == 0 {
		b := make([]byte, 8)
		_, err := io.ReadFull(r, b)
		return b, err
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	_, err := io.ReadFull(r, body)
	return slices.Concat(head, body), err
}

// flip changes one bit of a piece, at a fraction of its length.
func flip(num, den int) attack {
	return func(piece, _ []byte, forth, _ link) bool {
		piece[(len(piece)-1)*num/den] ^= 0x10
		_, _ = forth.Write(piece)
		return true
	}
}

var attacks = map[string]attack{
	"flip the first bits": flip(0, 1), "flip the length": func(piece, _ []byte, forth, _ link) bool {
		piece[min(4, len(piece)-1)] ^= 1
		_, _ = forth.Write(piece)
		return true
	},
	"flip in the middle": flip(1, 2), "flip near the end": flip(9, 10), "flip the last byte": flip(1, 1),
	"drop": func([]byte, []byte, link, link) bool { return true },
	"send twice": func(piece, _ []byte, forth, _ link) bool {
		_, _ = forth.Write(append(bytes.Clone(piece), piece...))
		return true
	},
	"repeat the one before": func(piece, before []byte, forth, _ link) bool {
		_, _ = forth.Write(append(bytes.Clone(before), piece...))
		return true
	},
	"the other way round": func(piece, before []byte, forth, _ link) bool {
		_, _ = forth.Write(append(bytes.Clone(piece), before...))
		return true
	},
	"insert": func(piece, _ []byte, forth, _ link) bool {
		made := bytes.Repeat([]byte{0x5a}, 5+64)
		copy(made, []byte{23, 3, 3, 0, 64})
		_, _ = forth.Write(append(made, piece...))
		return true
	},
	"insert in the clear": func(piece, _ []byte, forth, _ link) bool {
		_, _ = forth.Write(append([]byte{21, 3, 3, 0, 2, 1, 0}, piece...)) // an alert: close_notify
		return true
	},
	"reflect": func(piece, _ []byte, _, back link) bool {
		_, _ = back.Write(piece)
		return true
	},
	"reflect and pass on": func(piece, _ []byte, forth, back link) bool {
		_, _ = back.Write(piece)
		_, _ = forth.Write(piece)
		return true
	},
	"end before": func(_, _ []byte, forth, back link) bool {
		_, _ = forth.Close(), back.Close()
		return false
	},
	"end within": func(piece, _ []byte, forth, back link) bool {
		_, _ = forth.Write(piece[:len(piece)/2])
		_, _ = forth.Close(), back.Close()
		return false
	},
	"end behind": func(piece, _ []byte, forth, back link) bool {
		_, _ = forth.Write(piece)
		_, _ = forth.Close(), back.Close()
		return false
	},
	"break before": func(_, _ []byte, forth, back link) bool {
		_, _ = forth.Abort(), back.Abort()
		return false
	},
}

// attacked is how a transfer under attack ended.
type attacked struct {
	sent, received int // exit statuses
	got            []byte
	pieces         map[bool]int
	links          int
	meant          bool
}

// underAttack sends a file through mallory, in a bubble, so that waiting takes no time. user is where the keys are
// that both ends have.
func underAttack(t *testing.T, user, src, retryFor string, senderListens bool, at target, does attack) (out attacked) {
	dst := filepath.Join(t.TempDir(), "in")
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		n.config = user
		sendArgs, recvArgs := []string{"send", "--retry-for", retryFor, src}, []string{"recv", "--retry-for", retryFor, "-o", dst + "/"}
		listens, dials := recvArgs, sendArgs
		if senderListens {
			listens, dials = sendArgs, recvArgs
		}
		l := start(t, procOptions{net: n}, append(listens, "--listen=:0")...)
		m := between(t, n, l.listening(), at, does)
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan struct{})
		go func() { defer close(served); m.serve(ctx) }()
		d := start(t, procOptions{net: n}, append(dials[:1:1], append([]string{m.door.lis.Addr().String()}, dials[1:]...)...)...)
		d.wait()
		select {
		case <-l.done:
		case <-time.After(10 * time.Minute): // it waits for a friend
			l.signals <- os.Interrupt
			l.wait()
		}
		stop()
		<-served
		m.door.close()
		out.sent, out.received, out.pieces, out.links, out.meant = d.code, l.code, m.count, m.links, m.meant
		if senderListens {
			out.sent, out.received = l.code, d.code
		}
	})
	var err error
	if out.got, err = os.ReadFile(filepath.Join(dst, filepath.Base(src))); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	return out
}

// Whatever somebody in the middle does, at whichever record: no name ever has wrong bytes, nobody who ends with 0 is wrong,
// and what was changed ends the transfer.
func TestManInTheMiddle(t *testing.T) {
	t.Parallel()
	n, dir := newMemNet(), t.TempDir()
	content := make([]byte, 40_000)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	src := writeFile(t, dir, "a", content)
	run(t, procOptions{net: n}, "key", "show").ends(0)
	for _, senderListens := range []bool{false, true} {
		whole := underAttack(t, n.config, src, "0", senderListens, target{}, nil)
		if whole.sent != 0 || whole.received != 0 || !bytes.Equal(whole.got, content) {
			t.Fatalf("without an attack: %d, %d, %d bytes", whole.sent, whole.received, len(whole.got))
		}
		if whole.pieces[true] < 8 || whole.pieces[false] < 8 {
			t.Fatalf("only %v pieces", whole.pieces)
		}
		ends, tried := map[string]int{}, 0
		for up, count := range whole.pieces {
			for i := range count {
				for name, does := range attacks {
					if tried++; testing.Short() && tried%7 != 0 || senderListens && tried%5 != 0 {
						continue
					}
					what := fmt.Sprintf("%s, piece %d of %d (to the listener: %v, the sender listens: %v)", name, i, count, up, senderListens)
					o := underAttack(t, n.config, src, "0", senderListens, target{up, i}, does)
					ends[fmt.Sprintf("%d %d", o.sent, o.received)]++
					if o.got != nil && !bytes.Equal(o.got, content) {
						t.Fatalf("%s: %d wrong bytes have the name", what, len(o.got))
					}
					if (o.sent == 0 || o.received == 0) && o.got == nil {
						t.Errorf("%s: %d and %d without a file", what, o.sent, o.received)
					}
					if o.sent == 0 && o.received != 0 {
						t.Errorf("%s: the sender is content, the receiver ends with %d", what, o.received)
					}
					for _, code := range []int{o.sent, o.received} {
						switch code {
						case 0, 3, 4, 5, 9, 10, 130:
						default:
							t.Errorf("%s: exit status %d", what, code)
						}
					}
					// The last few records say goodbye; nothing is lost with them.
					if o.sent == 0 && i < count-4 && o.meant {
						t.Errorf("%s: nobody took notice", what)
					}
				}
			}
		}
		t.Logf("pieces %v; ends of sender and receiver: %v", whole.pieces, ends)
	}
}

// A wrong byte, as one can have that is forged into UDT's window, costs a secure session a connection and nothing else.
func TestWrongByteCostsAReconnect(t *testing.T) {
	t.Parallel()
	n, dir := newMemNet(), t.TempDir()
	content := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
	src := writeFile(t, dir, "a", content)
	run(t, procOptions{net: n}, "key", "show").ends(0)
	for _, senderListens := range []bool{false, true} {
		up, done := !senderListens, false // the way the file goes
		whole := underAttack(t, n.config, src, "1h", senderListens, target{}, nil)
		// The attack sees the same piece of each connection, and its first time only changes something.
		o := underAttack(t, n.config, src, "1h", senderListens, target{up, whole.pieces[up] / 2}, func(piece, _ []byte, forth, _ link) bool {
			if !done {
				piece[len(piece)/2] ^= 1
			}
			done = true
			_, _ = forth.Write(piece)
			return true
		})
		if o.sent != 0 || o.received != 0 || !bytes.Equal(o.got, content) {
			t.Errorf("the sender listens: %v: %d, %d, %d bytes", senderListens, o.sent, o.received, len(o.got))
		}
		if !done || whole.links != 1 || o.links != 2 {
			t.Errorf("the sender listens: %v: %d connections and then %d", senderListens, whole.links, o.links)
		}
	}
}

// Two ends of one user that both dialled, joined by somebody in the middle, do not take each other for a listener.
func TestDiallersJoined(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	src := writeFile(t, dir, "a", []byte("payload"))
	run(t, procOptions{net: n}, "key", "show").ends(0)
	d := stand(t, n)
	defer d.close()
	for _, one := range [][]string{{"send", src}, {"recv", "-o", dir + "/in/"}} {
		s := start(t, procOptions{net: n}, append(one[:1:1], append([]string{d.lis.Addr().String()}, one[1:]...)...)...)
		a, err := d.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, procOptions{net: n}, "recv", d.lis.Addr().String(), "-o", dir+"/in/")
		b, err := d.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(a, b); _ = a.Close() })
		both.Go(func() { _, _ = io.Copy(b, a); _ = b.Close() })
		for _, p := range []*process{s, r} {
			if code := p.wait(); code != 4 && code != 3 {
				t.Errorf("%d: %s", code, p.stderr)
			}
		}
		both.Wait()
		if s.code != 4 && r.code != 4 {
			t.Errorf("%d and %d: nobody says that it is no handshake", s.code, r.code)
		}
	}
	if _, err := os.Stat(dir + "/in"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the destination was made: %v", err)
	}
}

// What an end said in another session, said again, is worth nothing, and neither is what it hears of itself.
func TestOldWordsAndEchoes(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	src := writeFile(t, dir, "a", []byte("payload"))
	tapped := tapNet{n, &bytes.Buffer{}}
	r := start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", dir+"/in/")
	run(t, procOptions{net: n, network: tapped}, "send", "127.0.0.1:"+r.listening(), src).ends(0)
	r.ends(0)

	r = start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", dir+"/again/")
	l, err := n.Dial(t.Context(), "", netip.MustParseAddrPort("127.0.0.1:"+r.listening()), linkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write(tapped.said.Bytes()); err != nil {
		t.Fatal(err)
	}
	r.stderr.await("refused ", r.done)
	_ = l.Abort()
	r.signals <- os.Interrupt
	r.ends(130)
	if _, err := os.Stat(dir + "/again"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the destination was made: %v", err)
	}

	d := stand(t, n)
	defer d.close()
	s := start(t, procOptions{net: n}, "send", d.lis.Addr().String(), src)
	mirror, err := d.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(mirror, mirror)
	_ = mirror.Close()
	s.ends(4).says("no sound handshake")
}
