package udt_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// A reply is what a call says in some state: an error with this code and
// these others to be found by errors.Is, or one of the words below.
type reply struct {
	code udt.Code
	is   error
	word string
}

var (
	fine   = reply{word: "no error"}
	ending = reply{word: "io.EOF"}
	late   = reply{code: udt.ETIMEOUT, is: os.ErrDeadlineExceeded}
	shut   = reply{code: udt.EINVSOCK, is: net.ErrClosed}
	lost   = reply{code: udt.ECONNLOST, is: udt.ErrConnLost}
	gone   = reply{code: udt.ECONNLOST, is: udt.ErrPeerClosed}
	short  = reply{code: udt.ECONNLOST, is: io.ErrUnexpectedEOF}
)

func (r reply) want(t *testing.T, err error) {
	t.Helper()
	switch r {
	case fine:
		if err != nil {
			t.Errorf("%v", err)
		}
	case ending:
		if !isBareEOF(err) {
			t.Errorf("got %v, want io.EOF", err)
		}
	default:
		wantError(t, err, r.code, r.code, r.is)
	}
}

// connCalls are all calls of a Conn that may fail. None waits longer than a
// deadline 100 ms away.
var connCalls = map[string]func(*udt.Conn) error{
	"Read":      func(c *udt.Conn) error { _, err := readCall(c); return err },
	"ReadEmpty": func(c *udt.Conn) error { _, err := c.Read(nil); return err },
	"WriteTo":   func(c *udt.Conn) error { _, err := c.WriteTo(io.Discard); return err },
	"Write":     func(c *udt.Conn) error { _, err := writeCall(c); return err },
	"ReadFrom":  func(c *udt.Conn) error { _, err := c.ReadFrom(strings.NewReader("some")); return err },
	"SendFile": func(c *udt.Conn) error {
		return withFile(func(f *os.File) error { _, err := c.SendFile(f, 0, 4, 0); return err })
	},
	"ReceiveFile": func(c *udt.Conn) error {
		return withFile(func(f *os.File) error { _, err := c.ReceiveFile(f, 0, 4, 0); return err })
	},
	"SendUser":    func(c *udt.Conn) error { return c.SendUser(udt.UserPacket{}) },
	"ReportError": func(c *udt.Conn) error { return c.ReportError(udt.EFILE) },
	"Configure":   func(c *udt.Conn) error { return c.Configure(udt.Config{Linger: time.Second}) },
	"Deadline":    func(c *udt.Conn) error { return c.SetDeadline(time.Now().Add(100 * time.Millisecond)) },
}

// withFile gives f a file with a few bytes in it.
func withFile(f func(*os.File) error) error {
	file, err := os.CreateTemp("", "udtcp")
	if err != nil {
		return err
	}
	_, err = file.WriteString("some")
	return errors.Join(err, f(file), file.Close(), os.Remove(file.Name()))
}

// Every call on a connection in every state it can be in.
func TestCallsByState(t *testing.T) {
	type replies map[string]reply
	all := func(r reply) replies {
		m := replies{}
		for call := range connCalls {
			m[call] = r
		}
		return m
	}
	for name, state := range map[string]struct {
		enter func(t *testing.T, s *sim, client, server *udt.Conn)
		want  replies
	}{
		"connected": {
			enter: func(*testing.T, *sim, *udt.Conn, *udt.Conn) {},
			want: replies{
				"Read": late, "ReadEmpty": fine, "WriteTo": late, "Write": late, "ReadFrom": fine, "Deadline": fine,
				"ReceiveFile": late, "SendFile": fine, "SendUser": fine, "ReportError": fine, "Configure": fine,
			},
		},
		"the deadline has passed": {
			enter: func(_ *testing.T, _ *sim, client, _ *udt.Conn) { client.SetDeadline(time.Unix(1, 0)) },
			want: replies{
				"Read": late, "ReadEmpty": late, "WriteTo": late, "Write": late, "ReadFrom": late, "Deadline": fine,
				"ReceiveFile": late, "SendFile": late, "SendUser": fine, "ReportError": fine, "Configure": fine,
			},
		},
		"closed by the peer": {
			enter: func(t *testing.T, _ *sim, _, server *udt.Conn) {
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			},
			want: replies{
				"Read": ending, "ReadEmpty": fine, "WriteTo": fine, "Write": gone, "ReadFrom": gone, "Deadline": fine,
				"ReceiveFile": short, "SendFile": gone, "SendUser": gone, "ReportError": gone, "Configure": fine,
			},
		},
		"given up by the peer": {
			enter: func(t *testing.T, _ *sim, _, server *udt.Conn) {
				if err := server.Abort(); err != nil {
					t.Error(err)
				}
			},
			want: replies{
				"Read": lost, "ReadEmpty": fine, "WriteTo": lost, "Write": lost, "ReadFrom": lost, "Deadline": fine,
				"ReceiveFile": lost, "SendFile": lost, "SendUser": lost, "ReportError": lost, "Configure": fine,
			},
		},
		"the peer fell silent": {
			enter: func(_ *testing.T, s *sim, _, _ *udt.Conn) {
				s.cut()
				<-time.After(2 * udt.DefaultPeerTimeout)
			},
			want: replies{
				"Read": lost, "ReadEmpty": fine, "WriteTo": lost, "Write": lost, "ReadFrom": lost, "Deadline": fine,
				"ReceiveFile": lost, "SendFile": lost, "SendUser": lost, "ReportError": lost, "Configure": fine,
			},
		},
		"the socket broke": {
			enter: func(_ *testing.T, s *sim, client, _ *udt.Conn) {
				s.client.sock.breakWrites(errors.New("broken"))
				_, _ = client.Write([]byte("x"))
			},
			want: replies{
				"Read": lost, "ReadEmpty": fine, "WriteTo": lost, "Write": lost, "ReadFrom": lost, "Deadline": fine,
				"ReceiveFile": lost, "SendFile": lost, "SendUser": lost, "ReportError": lost, "Configure": fine,
			},
		},
		"closing": {
			enter: func(t *testing.T, s *sim, client, _ *udt.Conn) {
				fillUp(t, client)
				go client.Close()
			},
			want: all(shut),
		},
		"closed": {
			enter: func(_ *testing.T, _ *sim, client, _ *udt.Conn) { client.Close() },
			want:  all(shut),
		},
		"given up": {
			enter: func(_ *testing.T, _ *sim, client, _ *udt.Conn) { client.Abort() },
			want:  all(shut),
		},
		"the endpoint is closed": {
			enter: func(_ *testing.T, s *sim, _, _ *udt.Conn) { s.client.Close() },
			want:  all(shut),
		},
	} {
		if len(state.want) != len(connCalls) {
			t.Fatalf("%s: %d calls are expected, there are %d", name, len(state.want), len(connCalls))
		}
		for call, f := range connCalls {
			t.Run(name+"/"+call, func(t *testing.T) {
				connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, s *sim, client, server *udt.Conn) {
					client.SetDeadline(time.Now().Add(time.Hour))
					state.enter(t, s, client, server)
					<-time.After(time.Second)
					if state.want["Deadline"] == fine && name != "the deadline has passed" {
						client.SetDeadline(time.Now().Add(100 * time.Millisecond))
					}
					state.want[call].want(t, f(client))
				})
			})
		}
	}
}

// Every call on an endpoint and its listener in every state.
func TestEndpointCallsByState(t *testing.T) {
	calls := map[string]func(*sim) error{
		"Dial": func(s *sim) error {
			c, err := s.server.Dial(s.t.Context(), s.client.addr)
			if err == nil {
				err = c.Abort()
			}
			return err
		},
		"Listen": func(s *sim) error { _, err := s.server.Listen(); return err },
		"Accept": func(s *sim) error { _, err := s.listener.Accept(); return err },
	}
	closed := reply{code: udt.ENOLISTEN, is: net.ErrClosed}
	broken := reply{code: udt.ESOCKFAIL, is: net.ErrClosed} // the test's own doing
	for name, state := range map[string]struct {
		enter func(s *sim)
		want  map[string]reply
	}{
		"listening": {
			enter: func(s *sim) {
				if _, err := s.client.Listen(); err != nil {
					s.t.Error(err)
				}
				s.dial()
			},
			want: map[string]reply{
				"Dial": fine, "Listen": {code: udt.EDUPLISTEN, is: udt.ErrDuplicateListen}, "Accept": fine,
			},
		},
		"nobody listens there": {
			enter: func(s *sim) { s.dial() },
			want: map[string]reply{
				"Dial":   {code: udt.ENOSERVER, is: udt.ErrNoServer},
				"Listen": {code: udt.EDUPLISTEN, is: udt.ErrDuplicateListen}, "Accept": fine,
			},
		},
		"listener closed": {
			enter: func(s *sim) { s.listener.Close() },
			want: map[string]reply{
				"Dial": {code: udt.ENOSERVER, is: udt.ErrNoServer}, "Listen": fine, "Accept": closed,
			},
		},
		"closed": {
			enter: func(s *sim) { s.server.Close() },
			want:  map[string]reply{"Dial": shut, "Listen": shut, "Accept": closed},
		},
		"the socket is gone": {
			enter: func(s *sim) {
				s.server.sock.Close()
				<-time.After(time.Second)
			},
			want: map[string]reply{"Dial": broken, "Listen": broken, "Accept": closed},
		},
	} {
		for call, f := range calls {
			t.Run(name+"/"+call, func(t *testing.T) {
				simulate(t, simConfig{}, func(t *testing.T, s *sim) {
					state.enter(s)
					state.want[call].want(t, f(s))
				})
			})
		}
	}
}
