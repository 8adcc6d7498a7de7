package cli

import (
	"context"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"github.com/udtcp/udtcp/internal/transfer"
)

// faultVariable gives the udtcp of the scripts a fault, which it must own up to.
const faultVariable = "UDTCP_TEST_FAULT"

// scriptEnv is the Env of the scripts' udtcp.
func scriptEnv() Env {
	env := OSEnv()
	if os.Getenv(faultVariable) != "" {
		env.network = faultyNetwork{udtNetwork{}}
	}
	return env
}

// faultyNetwork makes links, where it dials, that run into a fault of the program in the middle of a transfer.
type faultyNetwork struct{ network }

func (n faultyNetwork) Dial(ctx context.Context, local string, remote netip.AddrPort, o linkOptions) (link, error) {
	l, err := n.network.Dial(ctx, local, remote, o)
	if err != nil {
		return nil, err
	}
	f := &faultyLink{link: l}
	f.left.Store(1 << 20)
	return f, nil
}

// faultyLink is a link with one fault behind so many bytes, both ways taken together.
type faultyLink struct {
	link
	left atomic.Int64
	once sync.Once
}

func (l *faultyLink) Write(p []byte) (int, error) {
	n, err := l.link.Write(p)
	l.left.Add(-int64(n))
	return n, err
}

func (l *faultyLink) Read(p []byte) (n int, err error) {
	if l.left.Load() < 0 {
		l.once.Do(func() { err = &transfer.Error{Kind: transfer.KindInternal, Msg: "a fault of the program"} })
	}
	if err == nil {
		n, err = l.link.Read(p)
		l.left.Add(-int64(n))
	}
	return n, err
}
