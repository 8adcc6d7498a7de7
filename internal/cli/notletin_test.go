package cli

import (
	"net"
	"strings"
	"testing"

	"github.com/udtcp/udtcp/internal/udt"
)

// TestNotLetIn: an end whose first data went along with the request ends as one that was not connected.
func TestNotLetIn(t *testing.T) {
	t.Parallel()
	src := writeFile(t, t.TempDir(), "a", []byte("payload"))
	for _, args := range [][]string{
		{"send", "ADDRESS", src},
		{"send", "--insecure", "ADDRESS", src},
		{"recv", "--insecure", "ADDRESS", "-o", t.TempDir() + "/"},
		{"cat", "ADDRESS"},
		{"perf", "ADDRESS"},
	} {
		t.Run(strings.Join(args[:2], " "), func(t *testing.T) {
			lis, err := udt.Listen("udp", "127.0.0.1:0", &udt.Config{Backlog: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer lis.Close()
			_, port, err := net.SplitHostPort(lis.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			dialUDT(t, port, nil) // nobody else is let in
			for i, a := range args {
				args[i] = strings.ReplaceAll(a, "ADDRESS", "127.0.0.1:"+port)
			}
			o := procOptions{udp: true, stdin: strings.NewReader("payload"), config: t.TempDir()}
			run(t, o, "key", "show").ends(0)
			run(t, o, args...).ends(int(exitNoLink)).says("there and refuses", "hint: it may be busy")
		})
	}
}
