package udt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/udtcp/udtcp/internal/udt"
)

// What each error is to errors.Is, and what it is not.
func TestErrorIdentities(t *testing.T) {
	all := []error{
		udt.ErrNoServer, udt.ErrRejected, udt.ErrMismatch, udt.ErrConnLost, udt.ErrPeerClosed,
		udt.ErrUndelivered, udt.ErrDuplicateListen, udt.ErrOtherType, udt.ErrOtherVersion,
		udt.ErrMessages, udt.ErrStream, udt.ErrTooLarge, udt.ErrTruncated, errors.ErrUnsupported, syscall.EMSGSIZE,
		os.ErrDeadlineExceeded, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.EADDRINUSE,
		net.ErrClosed, io.EOF,
	}
	for _, c := range []struct {
		err  error
		also []error
	}{
		{udt.ErrNoServer, []error{os.ErrDeadlineExceeded}},
		{udt.ErrRejected, []error{syscall.ECONNREFUSED}},
		{udt.ErrOtherType, []error{udt.ErrRejected, syscall.ECONNREFUSED}},
		{udt.ErrOtherVersion, []error{udt.ErrRejected, syscall.ECONNREFUSED}},
		{udt.ErrMismatch, nil},
		{udt.ErrMessages, []error{errors.ErrUnsupported}},
		{udt.ErrStream, []error{errors.ErrUnsupported}},
		{udt.ErrTooLarge, []error{syscall.EMSGSIZE}},
		{udt.ErrTruncated, nil},
		{udt.ErrConnLost, []error{syscall.ECONNRESET}},
		{udt.ErrPeerClosed, []error{syscall.EPIPE}},
		{udt.ErrUndelivered, nil},
		{udt.ErrDuplicateListen, []error{syscall.EADDRINUSE}},
	} {
		err := &udt.Error{Op: "read", Err: c.err}
		for _, target := range all {
			if got, want := errors.Is(err, target), slices.Contains(append(c.also, c.err), target); got != want {
				t.Errorf("%v is %v: %v, want %v", err, target, got, want)
			}
		}
	}
}

// A code is found in an error as an errno is, and no other.
func TestErrorCodes(t *testing.T) {
	err := fmt.Errorf("more of it: %w", &udt.Error{Code: udt.ENOSERVER, Op: "dial", Err: udt.ErrNoServer})
	if !errors.Is(err, udt.ENOSERVER) || errors.Is(err, udt.ECONNREJ) || errors.Is(errors.New("other"), udt.ENOSERVER) {
		t.Errorf("%v is another code's", err)
	}
	for code, want := range map[udt.Code]string{
		udt.ENOSERVER: "Connection setup failure: connection time out",
		udt.Code(-1):  "Unknown error",
		udt.Code(42):  "UDT error 42",
	} {
		if code.Error() != want {
			t.Errorf("%d: %q, want %q", code, code.Error(), want)
		}
	}
}

func TestErrorTimeout(t *testing.T) {
	for err, want := range map[error]bool{
		udt.ErrNoServer:          true,
		os.ErrDeadlineExceeded:   true,
		context.DeadlineExceeded: true,
		context.Canceled:         false,
		udt.ErrConnLost:          false,
		net.ErrClosed:            false,
	} {
		e := &udt.Error{Op: "dial", Err: err}
		if e.Timeout() != want || e.Temporary() != want {
			t.Errorf("%v: timeout %v, temporary %v, want %v", e, e.Timeout(), e.Temporary(), want)
		}
	}
}

func TestErrorText(t *testing.T) {
	addr := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 9000}
	for want, err := range map[string]error{
		"udt dial 10.0.0.2:9000: connection rejected":     &udt.Error{Op: "dial", Addr: addr, Err: udt.ErrRejected},
		"udt accept: use of closed network connection":    &udt.Error{Op: "accept", Err: net.ErrClosed},
		"udt write: the peer reported error 4000":         &udt.Error{Op: "write", Err: &udt.PeerError{Code: 4000}},
		"udt read 10.0.0.2:9000: connection lost":         &udt.Error{Op: "read", Addr: addr, Err: udt.ErrConnLost},
		"udt listen: the port has a listener already":     &udt.Error{Op: "listen", Err: udt.ErrDuplicateListen},
		"udt close: closed before everything was deliver": &udt.Error{Op: "close", Err: udt.ErrUndelivered},
	} {
		if got := err.Error(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
