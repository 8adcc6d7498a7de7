package udt_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var captureGolden = flag.String("capture-golden", "", "write golden packets, libudt to libudt, into this directory")

// keptPayload is how much of a data packet's payload a capture keeps.
const keptPayload = 16

// Captures use a small MSS, so that full packets stay short. This is the
// smallest one libudt can connect with: it reads handshakes, too, into buffers
// of its MSS.
const tiny = " --mss 92"

type scenario struct {
	name, about  string
	serve, dial  string // flags of the two peers
	rule         func() rule
	oneSided     bool // the rule rewrites what goes to the client: record only what the server sends
	holdFor      int  // end only after so many keep-alives were seen
	ipv6, finish bool // finish: the server ends by itself too
	rendezvous   bool // both dial, the one called server first
}

var scenarios = []scenario{
	{
		name: "stream", finish: true,
		about: "Default options. The client sends 4000 bytes in one call and closes.",
		serve: "--mode sink", dial: "--mode source --bytes 4000 --block 4000",
	},
	{
		name: "light-ack", finish: true,
		about: "A longer stream of small packets: light ACKs between the full ones.",
		serve: "--mode sink" + tiny, dial: "--mode source --bytes 14400" + tiny,
	},
	{
		name: "duplex", finish: true,
		about: "Both ends send 1000 bytes at the same time; both directions start at the client's ISN.",
		serve: "--mode both --bytes 1000 --seed 2" + tiny, dial: "--mode both --bytes 1000" + tiny,
	},
	{
		name: "loss", finish: true,
		about: "The relay drops the 6th and the 10th to 12th data packet: NAKs of one number and of a range.",
		serve: "--mode sink" + tiny, dial: "--mode source --bytes 1600 --block 1600" + tiny,
		rule: func() rule { return dropData(toServer, 6, 10, 11, 12) },
	},
	{
		name: "wrap", finish: true, oneSided: true,
		about: "Sequence numbers pass 0x7fffffff in both directions with losses across it. The relay moved the client's\n" +
			"# ISN (libudt draws it at random), so only what the server sent is recorded.",
		serve: "--mode both --bytes 1600 --seed 2" + tiny, dial: "--mode both --bytes 1600" + tiny,
		rule: func() rule { return both(dropData(toServer, 6, 9, 10, 11), shiftISN(0x7ffffff6)) },
	},
	{
		name: "idle", finish: true, holdFor: 6,
		about: "Nothing is sent: keep-alives from both ends, then the client closes.",
		serve: "--mode sink", dial: "--mode hold",
	},
	{
		name: "lost-response", finish: true,
		about: "The relay drops the server's final response: the client repeats its request, the server its response.",
		serve: "--mode sink" + tiny, dial: "--mode source --bytes 32" + tiny,
		rule: func() rule { return dropFirst(finalResponse) },
	},
	{
		name:  "reject",
		about: "A message socket connects to a stream listener and is rejected.",
		serve: "--mode sink", dial: "--mode source --dgram --bytes 10",
	},
	{
		name: "message", finish: true,
		about: "Messages of 10, 10, 10 and 5 bytes, each of one packet, delivery in any order.",
		serve: "--mode sink --dgram" + tiny, dial: "--mode source --dgram --bytes 35 --msg 10" + tiny,
	},
	{
		name: "message-in-order", finish: true,
		about: "Two messages of 100 bytes, each of three packets, delivery in order.",
		serve: "--mode sink --dgram" + tiny, dial: "--mode source --dgram --bytes 200 --msg 100 --inorder" + tiny,
	},
	{
		name: "message-drop", finish: true,
		about: "Messages of three packets that live 1 ms. The relay drops a packet of the second and holds the NAK back:\n" +
			"# a drop request in place of the retransmission.",
		serve: "--mode sink --dgram" + tiny, dial: "--mode source --dgram --bytes 300 --msg 100 --ttl 1" + tiny,
		rule: func() rule { return both(dropData(toServer, 5), holdNAKs(20*time.Millisecond)) },
	},
	{
		name:  "peer-error",
		about: "The server's recvfile cannot write its file and says so with a peer error packet; then the client closes.",
		serve: "--mode badfile", dial: "--mode hold", holdFor: 1,
	},
	{
		name: "rendezvous", finish: true, rendezvous: true,
		about: "A rendezvous: both ends dial, the one called server first, with another MSS. Both send 300 bytes; each counts\n" +
			"# from its own ISN.",
		serve: "--mode both --bytes 300 --seed 2 --mss 108", dial: "--mode both --bytes 300" + tiny,
	},
	{
		name: "rendezvous-late", finish: true, rendezvous: true,
		about: "A rendezvous in which the -1 of the end called server arrives four times: the last ones find the client\n" +
			"# connected, which answers with -2.",
		serve: "--mode both --bytes 32 --seed 2" + tiny, dial: "--mode both --bytes 32" + tiny,
		rule: func() rule {
			return func(w way, b []byte) fate {
				if w == toClient && isHandshake(b) && handshakeRequest(b) == -1 {
					return fate{copies: 3}
				}
				return fate{}
			}
		},
	},
	{
		name: "ipv6", finish: true, ipv6: true,
		about: "A connection over IPv6 and 100 bytes.",
		serve: "--bind ::1 --mode sink", dial: "--mode source --bytes 100",
	},
}

// TestCaptureGolden records what two libudt peers say to each other. It is no
// test: scripts/capture-golden.sh runs it to renew testdata/golden.
func TestCaptureGolden(t *testing.T) {
	if *captureGolden == "" {
		t.Skip("only runs with -capture-golden DIR")
	}
	l := newLab(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			text := capture(t, l, s)
			if err := os.WriteFile(filepath.Join(*captureGolden, s.name+".txt"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func capture(t *testing.T, l *lab, s scenario) string {
	var (
		lines []string
		start time.Time
		idle  int
	)
	enough := make(chan struct{})
	tap := func(w way, b []byte, f fate) {
		if start.IsZero() {
			start = time.Now()
		}
		if s.oneSided && w == toServer {
			return
		}
		lines = append(lines, goldenLine(w, f.drop, time.Since(start), b))
		if isControl(b) && controlType(b) == typeKeepAlive {
			if idle++; idle == s.holdFor {
				close(enough)
			}
		}
	}
	var decide rule
	if s.rule != nil {
		decide = s.rule()
	}
	var (
		server, client *peer
		r              *relay
	)
	if s.rendezvous {
		server, client, r = captureRendezvous(t, l, s, decide, tap)
	} else {
		server = l.serve(t, s.serve)
		at := server.loopback()
		if s.ipv6 {
			at = server.loopback6()
		}
		r = newRelay(t, at, decide, tap)
		client = l.dial(t, r.addr(), s.dial)
	}
	if s.holdFor > 0 {
		select {
		case <-enough:
		case <-client.ended:
		}
		client.release()
		server.release()
	}
	_, status := client.reports()
	if s.finish {
		if status != 0 {
			t.Fatalf("the client ended with status %d", status)
		}
		server.good()
	} else {
		server.kill()
	}
	r.close()

	return "# " + s.about + "\n" + goldenHeader + strings.Join(lines, "\n") + "\n"
}

// captureRendezvous joins two ends that dial each other. The client waits until
// the server has been heard.
func captureRendezvous(t *testing.T, l *lab, s scenario, decide rule, tap tapFn) (server, client *peer, r *relay) {
	a, _ := freePorts(t)
	heard := make(chan struct{})
	var once sync.Once
	r = newRelay(t, netip.MustParseAddrPort(a), decide, func(w way, b []byte, f fate) {
		tap(w, b, f)
		once.Do(func() { close(heard) })
	})
	client = l.dial(t, r.addr(), "--rendezvous --wait "+s.dial)
	_, port, _ := strings.Cut(a, ":")
	server = l.dial(t, r.wayTo(t, client), "--rendezvous --from "+port+" "+s.serve)
	<-heard
	client.release()
	return server, client, r
}

const goldenHeader = `# libudt 4.11 (Debian libudt0) at both ends, over loopback; made by scripts/capture-golden.sh.
# A packet a line: direction, microseconds since the first, the datagram in hexadecimal words.
# Directions: > client to server, < server to client; x> and x< the same, lost on the way.
# +N: N more bytes of payload were on the wire.
`

// goldenLine is one packet as golden files hold it.
func goldenLine(w way, dropped bool, at time.Duration, b []byte) string {
	var line strings.Builder
	if dropped {
		line.WriteString("x")
	}
	line.WriteString(map[way]string{toServer: ">", toClient: "<"}[w])
	fmt.Fprintf(&line, " %d", at.Microseconds())
	kept := b
	if isData(b) && len(b) > 16+keptPayload {
		kept = b[:16+keptPayload]
	}
	for i := 0; i < len(kept); i += 4 {
		fmt.Fprintf(&line, " %x", kept[i:min(i+4, len(kept))])
	}
	if len(kept) < len(b) {
		fmt.Fprintf(&line, " +%d", len(b)-len(kept))
	}
	fmt.Fprintf(&line, " # %s", describe(b))
	return line.String()
}

// describe says in a few words what a packet is.
func describe(b []byte) string {
	word := func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
	switch {
	case len(b) < 16:
		return "too short"
	case isData(b):
		where := [4]string{"middle", "last", "first", "solo"}[word(1)>>30]
		if word(1)>>29&1 == 1 {
			where += ", in order"
		}
		return fmt.Sprintf("data %d, message %d %s, %d bytes", word(0), word(1)&(1<<29-1), where, len(b)-16)
	}
	switch controlType(b) {
	case typeHandshake:
		return fmt.Sprintf("handshake request %d, socket type %d, ISN %d, MSS %d, flight %d, id %d, cookie %08x",
			handshakeRequest(b), word(5), word(6), word(7), word(8), word(10), word(11))
	case typeKeepAlive:
		return "keep-alive"
	case typeACK:
		if len(b) == 20 {
			return fmt.Sprintf("light ACK, next %d", word(4))
		}
		text := fmt.Sprintf("ACK %d, next %d, RTT %d, variance %d, window %d", word(1), word(4), word(5), word(6), word(7))
		if len(b) == 40 {
			text += fmt.Sprintf(", rate %d, capacity %d", word(8), word(9))
		}
		return text
	case typeNAK:
		if len(b) == 20 {
			return fmt.Sprintf("NAK %d", word(4))
		}
		return fmt.Sprintf("NAK %d to %d", word(4)&sequenceMask, word(5))
	case typeShutdown:
		return "shutdown"
	case typeACK2:
		return fmt.Sprintf("ACK2 %d", word(1))
	case typeDrop:
		return fmt.Sprintf("drop message %d, %d to %d", word(1), word(4), word(5))
	case typePeerError:
		return fmt.Sprintf("peer error %d", word(1))
	}
	return fmt.Sprintf("control type %d", controlType(b))
}

// dropData drops the data packets going w whose turns (the first is 1) are
// listed.
func dropData(w way, turns ...int) rule {
	n := 0
	return func(v way, b []byte) fate {
		if v != w || !isData(b) {
			return fate{}
		}
		n++
		for _, turn := range turns {
			if n == turn {
				return fate{drop: true}
			}
		}
		return fate{}
	}
}

// dropFirst drops the first datagram that matches.
func dropFirst(match func(way, []byte) bool) rule {
	done := false
	return func(w way, b []byte) fate {
		if done || !match(w, b) {
			return fate{}
		}
		done = true
		return fate{drop: true}
	}
}

// finalResponse is the answer that makes a client connected.
func finalResponse(w way, b []byte) bool {
	return w == toClient && isHandshake(b) && handshakeRequest(b) == -1
}

func holdNAKs(d time.Duration) rule {
	return func(_ way, b []byte) fate {
		if isControl(b) && controlType(b) == typeNAK {
			return fate{delay: d}
		}
		return fate{}
	}
}
