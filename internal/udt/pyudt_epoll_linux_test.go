package udt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// example/pyudt/epoll: three UDT clients and three of TCP in one Poller. They
// send records of a version, a length and a payload; that they have closed is
// detected.
func TestPyUDTEpoll(t *testing.T) {
	const clients, records = 3, 40
	ul := path{}.listen(t)
	tl, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tl.Close() })
	for i := range clients {
		uc := limited(t, dialTo(t, ul))
		tc, err := net.Dial("tcp", tl.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for version, c := range map[int]net.Conn{i: uc, clients + i: tc} {
			sent := start(func() (int, error) { return records, errors.Join(sendRecords(c, version, records), c.Close()) })
			t.Cleanup(func() {
				if o := <-sent; o.err != nil {
					t.Errorf("client %d: %v", version, o.err)
				}
			})
		}
	}

	p := newPolled(t)
	defer p.Close()
	p.add(ul, udt.PollIn)
	p.add(tl, udt.PollIn)
	server := &recordServer{p: p, got: map[int]int{}, streams: map[any]*bytes.Buffer{}}
	for server.ended < 2*clients {
		n, err := p.WaitFor(testTimeout, p.events[:])
		if err != nil {
			t.Fatalf("%d have ended, %v", server.ended, err)
		}
		for _, e := range p.events[:n] {
			if err := server.handle(e.Member); err != nil {
				t.Fatal(err)
			}
		}
	}
	for version := range 2 * clients {
		if server.got[version] != records {
			t.Errorf("client %d: %d records, want %d", version, server.got[version], records)
		}
	}
	begin := time.Now()
	p.want(time.Second) // nobody is left but the listeners
	wantTook(t, begin, time.Second, testTimeout)
}

func dialTo(t *testing.T, l *udt.Listener) *udt.Conn {
	t.Helper()
	c, err := udt.Dial(testContext(t), "udp", l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sendRecords writes records of which each is longer than the one before.
func sendRecords(w io.Writer, version, n int) error {
	for i := range n {
		size := i * 997
		b := binary.BigEndian.AppendUint32(nil, uint32(version))
		b = binary.BigEndian.AppendUint64(b, uint64(size))
		if _, err := w.Write(append(b, noise(uint64(version), size)...)); err != nil {
			return err
		}
	}
	return nil
}

// A recordServer takes connections of both kinds and what comes from them.
type recordServer struct {
	p       *polled
	streams map[any]*bytes.Buffer // what is not a whole record yet
	got     map[int]int           // records by version
	ended   int
}

// handle does what can be done with a member that is ready, and no more.
func (s *recordServer) handle(member any) error {
	switch m := member.(type) {
	case *udt.Listener:
		c, err := m.TryAccept()
		if err != nil {
			return err
		}
		return s.welcome(c)
	case *net.TCPListener:
		c, err := m.AcceptTCP()
		if err != nil {
			return err
		}
		return s.welcome(c)
	case *udt.Conn:
		return s.read(m, m.TryRead)
	case *net.TCPConn:
		return s.read(m, m.Read)
	}
	return fmt.Errorf("told of a %T", member)
}

func (s *recordServer) welcome(c any) error {
	s.streams[c] = &bytes.Buffer{}
	return s.p.Add(c, udt.PollIn)
}

func (s *recordServer) read(c io.Closer, read func([]byte) (int, error)) error {
	buf := make([]byte, 10_000)
	n, err := read(buf)
	stream := s.streams[c]
	stream.Write(buf[:n])
	if !isBareEOF(err) {
		return errors.Join(err, s.records(stream))
	}
	if stream.Len() > 0 {
		return fmt.Errorf("%d bytes of a record that never came", stream.Len())
	}
	s.ended++
	return errors.Join(s.p.Remove(c), c.Close())
}

// records takes whole records off a stream.
func (s *recordServer) records(stream *bytes.Buffer) error {
	const header = 12
	for stream.Len() >= header {
		b := stream.Bytes()
		version, size := int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint64(b[4:]))
		if size != s.got[version]*997 {
			return fmt.Errorf("client %d: record %d has %d bytes", version, s.got[version], size)
		}
		if len(b) < header+size {
			return nil
		}
		if !bytes.Equal(b[header:header+size], noise(uint64(version), size)) {
			return fmt.Errorf("client %d: record %d is not what was sent", version, s.got[version])
		}
		s.got[version]++
		stream.Next(header + size)
	}
	return nil
}
