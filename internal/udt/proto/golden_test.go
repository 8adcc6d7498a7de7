package proto

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Golden packets were recorded between two peers on libudt 4.11; each file
// explains its format. A line's comment was written by the recorder, which
// does not use this package.
type goldenPacket struct {
	place    string // file:line
	toServer bool
	lost     bool
	bytes    []byte // payload that was not kept is zero
	comment  string
}

func goldenPackets(t *testing.T) []goldenPacket {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "golden", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden packets (error %v)", err)
	}
	var ps []goldenPacket
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		s := bufio.NewScanner(f)
		for n := 1; s.Scan(); n++ {
			p, ok, err := parseGolden(s.Text())
			if err != nil {
				t.Fatalf("%s:%d: %v", file, n, err)
			}
			if ok {
				p.place = fmt.Sprintf("%s:%d", filepath.Base(file), n)
				ps = append(ps, p)
			}
		}
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return ps
}

func parseGolden(line string) (p goldenPacket, ok bool, err error) {
	line, p.comment, _ = strings.Cut(line, "# ")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return p, false, nil
	}
	if len(fields) < 3 {
		return p, false, fmt.Errorf("%d fields", len(fields))
	}
	direction, lost := strings.CutPrefix(fields[0], "x")
	p.lost, p.toServer = lost, direction == ">"
	for _, word := range fields[2:] {
		if more, cut := strings.CutPrefix(word, "+"); cut {
			n, err := strconv.Atoi(more)
			if err != nil {
				return p, false, err
			}
			p.bytes = append(p.bytes, make([]byte, n)...)
			continue
		}
		b, err := hex.DecodeString(word)
		if err != nil {
			return p, false, err
		}
		p.bytes = append(p.bytes, b...)
	}
	return p, true, nil
}

// Whatever libudt sends must parse, say what the recorder read, and be
// written again byte for byte.
func TestGoldenPackets(t *testing.T) {
	for _, p := range goldenPackets(t) {
		text, again, err := readAndWrite(p.bytes)
		switch {
		case err != nil:
			t.Errorf("%s: %v", p.place, err)
		case text != p.comment:
			t.Errorf("%s: read as\n%s, recorded as\n%s", p.place, text, p.comment)
		case !bytes.Equal(again, p.bytes):
			t.Errorf("%s: written as\n%x, recorded as\n%x", p.place, again, p.bytes)
		}
	}
}

// readAndWrite takes a datagram apart with the codec, down to the single
// field, says what it is and puts it together from the fields.
func readAndWrite(b []byte) (text string, again []byte, err error) {
	if !IsControl(b) {
		return readAndWriteData(b)
	}
	c, ok := ParseControl(b)
	if !ok {
		return "", nil, fmt.Errorf("not parsed: %x", b)
	}
	body := c.Body
	c.Body = nil
	head := c.Append(nil)
	switch c.Type {
	case TypeHandshake:
		h, ok := ParseHandshake(body)
		if !ok {
			return "", nil, fmt.Errorf("handshake not parsed: %x", b)
		}
		return fmt.Sprintf("handshake request %d, socket type %d, ISN %d, MSS %d, flight %d, id %d, cookie %08x",
			h.Request, h.SocketType, h.ISN, h.MSS, h.FlightFlag, h.ID, h.Cookie), h.Append(head), nil
	case TypeACK:
		a, light, ok := ParseACK(body)
		switch {
		case !ok:
			return "", nil, fmt.Errorf("ACK not parsed: %x", b)
		case light:
			return fmt.Sprintf("light ACK, next %d", a.Next), a.AppendLight(head), nil
		}
		text = fmt.Sprintf("ACK %d, next %d, RTT %d, variance %d, window %d", c.Info, a.Next, a.RTT, a.RTTVar, a.Window)
		if a.HasRates {
			text += fmt.Sprintf(", rate %d, capacity %d", a.ArrivalRate, a.Capacity)
		}
		return text, a.AppendFull(head), nil
	case TypeNAK:
		r, rest, ok := NextLoss(body)
		if !ok || len(rest) > 0 {
			return "", nil, fmt.Errorf("NAK not parsed as one entry: %x", b)
		}
		text = fmt.Sprintf("NAK %d", r.First)
		if r.First != r.Last {
			text += fmt.Sprintf(" to %d", r.Last)
		}
		return text, AppendLoss(head, r), nil
	case TypeKeepAlive:
		return "keep-alive", appendEmptyControl(nil, c.Type, c.Info, c.Dst), nil
	case TypeShutdown:
		return "shutdown", appendEmptyControl(nil, c.Type, c.Info, c.Dst), nil
	case TypeACK2:
		return fmt.Sprintf("ACK2 %d", c.Info), appendEmptyControl(nil, c.Type, c.Info, c.Dst), nil
	case TypePeerError:
		return fmt.Sprintf("peer error %d", c.Info), appendEmptyControl(nil, c.Type, c.Info, c.Dst), nil
	case TypeDropRequest:
		d, ok := ParseDropRequest(Control{Type: c.Type, Info: c.Info, Body: body})
		if !ok {
			return "", nil, fmt.Errorf("drop request not parsed: %x", b)
		}
		return fmt.Sprintf("drop message %d, %d to %d", d.Message, d.First, d.Last), d.Append(nil, c.Dst), nil
	}
	return "", nil, fmt.Errorf("type %d is not expected from libudt", c.Type)
}

func readAndWriteData(b []byte) (text string, again []byte, err error) {
	d, ok := ParseData(b)
	if !ok {
		return "", nil, fmt.Errorf("not parsed: %x", b)
	}
	where := map[Boundary]string{
		BoundaryMiddle: "middle", BoundaryLast: "last", BoundaryFirst: "first", BoundarySolo: "solo",
	}[d.Boundary]
	if d.InOrder {
		where += ", in order"
	}
	return fmt.Sprintf("data %d, message %d %s, %d bytes", d.Seq, d.Message, where, len(d.Payload)), d.Append(nil), nil
}

// The address in a libudt client's handshake is that of the server as the
// client sees it; ours must look the same.
func TestGoldenHandshakeAddress(t *testing.T) {
	seen := map[netip.Addr]bool{}
	for _, p := range goldenPackets(t) {
		c, ok := ParseControl(p.bytes)
		if !ok || c.Type != TypeHandshake || !p.toServer {
			continue
		}
		h, ok := ParseHandshake(c.Body)
		if !ok {
			t.Fatalf("%s: not parsed", p.place)
		}
		if h.Request == RequestAgreement {
			continue // it has none
		}
		want := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if strings.HasPrefix(p.place, "ipv6") {
			want = netip.IPv6Loopback()
		}
		seen[want] = true
		if got := WireIP(want); got != h.IP {
			t.Errorf("%s: %v is written as %x, libudt writes %x", p.place, want, got, h.IP)
		}
	}
	if len(seen) != 2 {
		t.Errorf("addresses seen: %v, want one of each family", seen)
	}
}

// A renewed capture must not lose a kind of packet.
func TestGoldenPacketsCoverAllKinds(t *testing.T) {
	missing := map[string]bool{
		"handshake request 1,": true, "handshake request 0,": true, "handshake request -1,": true, "handshake request -2,": true, "handshake request 1002,": true,
		"keep-alive": true, "light ACK,": true, ", capacity ": true, "full ACK without rates": true,
		"NAK of one": true, "NAK of a range": true, "NAK across the wrap": true, "data across the wrap": true,
		"shutdown": true, "ACK2 ": true, "drop message ": true, "peer error ": true, "retransmission": true,
		" first,": true, " middle,": true, " last,": true, " solo,": true, ", in order,": true,
		"stream": true, "messages": true, "lost": true, "flight 25600": true,
	}
	sent := map[string]bool{}
	for _, p := range goldenPackets(t) {
		for kind := range missing {
			if strings.Contains(p.comment, kind) {
				delete(missing, kind)
			}
		}
		if p.lost {
			delete(missing, "lost")
		}
		if d, ok := ParseData(p.bytes); ok {
			key := fmt.Sprintf("%v %s %d", p.toServer, strings.Split(p.place, ":")[0], d.Seq)
			if sent[key] {
				delete(missing, "retransmission")
			}
			sent[key] = true
			if d.Seq == 0 {
				delete(missing, "data across the wrap")
			}
			continue
		}
		c, _ := ParseControl(p.bytes)
		switch r, _, _ := NextLoss(c.Body); c.Type {
		case TypeHandshake:
			h, _ := ParseHandshake(c.Body)
			delete(missing, map[SocketType]string{Stream: "stream", Datagram: "messages"}[h.SocketType])
		case TypeACK:
			if a, light, _ := ParseACK(c.Body); !light && !a.HasRates {
				delete(missing, "full ACK without rates")
			}
		case TypeNAK:
			switch {
			case r.First == r.Last:
				delete(missing, "NAK of one")
			case r.First > r.Last:
				delete(missing, "NAK across the wrap")
			default:
				delete(missing, "NAK of a range")
			}
		}
	}
	for kind := range missing {
		t.Errorf("no golden packet of this kind: %s", kind)
	}
}

// In a captured rendezvous we take the place of either end: libudt's packets must
// lead us through it, and what we send be what libudt sent there.
func TestGoldenRendezvous(t *testing.T) {
	for _, name := range []string{"rendezvous.txt", "rendezvous-late.txt"} {
		var packets []goldenPacket
		for _, p := range goldenPackets(t) {
			if strings.HasPrefix(p.place, name+":") {
				packets = append(packets, p)
			}
		}
		for _, toServer := range []bool{true, false} {
			if len(packets) == 0 {
				t.Fatalf("no packets of %s", name)
			}
			replayRendezvous(t, name, packets, toServer)
		}
	}
}

func replayRendezvous(t *testing.T, name string, packets []goldenPacket, theirs bool) {
	ours := map[RequestType]Handshake{}
	var first, theirFirst *Handshake
	for _, p := range packets {
		c, _ := ParseControl(p.bytes)
		if c.Type != TypeHandshake || !IsControl(p.bytes) {
			continue
		}
		h, _ := ParseHandshake(c.Body)
		if p.toServer == theirs {
			if theirFirst == nil {
				theirFirst = &h
			}
			continue
		}
		if first == nil {
			first = &h
		}
		ours[h.Request] = h
	}
	cfg := testConfig(first.ID)
	cfg.ISN, cfg.MSS, cfg.Window = first.ISN, int(first.MSS), int(first.FlightFlag)
	cfg.PeerIP = netip.MustParseAddr("127.0.0.1")
	s := newRendezvousScript(t, cfg)
	for _, p := range packets {
		dst, _ := Destination(p.bytes)
		if _, isData := ParseData(p.bytes); p.toServer != theirs || isData {
			continue
		}
		if dst == 0 {
			s.c.HandleRequest(s.now, p.bytes)
			s.step()
		} else {
			s.give(p.bytes)
		}
		if s.c.State() == StateConnected {
			break
		}
	}
	if s.c.State() != StateConnected || s.c.PeerID() != theirFirst.ID || s.c.rcv.isn != theirFirst.ISN || s.c.peerFlight != int(theirFirst.FlightFlag) {
		t.Errorf("%s, to server %v: state %d, peer %d from %d, flight %d; libudt said %+v",
			name, theirs, s.c.State(), s.c.PeerID(), s.c.rcv.isn, s.c.peerFlight, *theirFirst)
	}
	sent, _ := s.sentTo()
	for _, got := range sent {
		want, ok := ours[got.Request]
		got.Info = 0
		if got.Request != RequestRendezvous { // libudt's MSS is what it takes, ours what both send
			want.MSS = min(first.MSS, theirFirst.MSS)
		}
		if ok && got.Request != RequestAgreement && got != want {
			t.Errorf("%s, to server %v: sent %+v, libudt %+v", name, theirs, got, want)
		}
	}
	for _, p := range packets {
		if _, isData := ParseData(p.bytes); p.toServer == theirs && isData {
			s.give(p.bytes)
		}
	}
	if s.c.rcv.next == 0 || s.c.rcv.next != s.c.rcv.high || s.c.count.Invalid != 0 {
		t.Errorf("%s, to server %v: read up to %d of %d packets, %+v", name, theirs, s.c.rcv.next, s.c.rcv.high, s.c.count)
	}
}
