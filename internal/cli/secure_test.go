package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/udtcp/udtcp/internal/transfer/secure"
)

// event finds an event by its name.
func event(t *testing.T, p *process, name string) map[string]any {
	t.Helper()
	for _, ev := range events(t, p.stdout.String()) {
		if ev["event"] == name {
			return ev
		}
	}
	t.Fatalf("no event %q in %s", name, p.stdout)
	return nil
}

// Without any setting up the transfer of one user is secure: what passes is not what is sent, and each end knows the other.
func TestSecureByDefault(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	tapped := tapNet{n, &bytes.Buffer{}}
	src := writeFile(t, dir, "a", bytes.Repeat([]byte("plain as day "), 10_000))
	r := start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", dir+"/in/", "--json")
	s := run(t, procOptions{net: n, network: tapped}, "send", "--json", "127.0.0.1:"+r.listening(), src).ends(0)
	r.ends(0)
	if strings.Contains(s.stderr.String(), "warning") {
		t.Errorf("it warns: %s", s.stderr)
	}
	key := strings.TrimSpace(run(t, procOptions{net: n}, "key", "show").ends(0).stdout.String())
	for _, p := range []*process{s, r} {
		if ev := event(t, p, "connected"); ev["peer_key"] != key {
			t.Errorf("peer_key %v, want %s", ev["peer_key"], key)
		}
	}
	if b := tapped.said.Bytes(); len(b) < 130_000 || bytes.Contains(b, []byte("plain as day")) {
		t.Errorf("of %d bytes some can be read", len(b))
	}
}

// tapNet is a memNet that keeps what those who dial say.
type tapNet struct {
	*memNet
	said *bytes.Buffer
}

func (n tapNet) Dial(ctx context.Context, local string, remote netip.AddrPort, o linkOptions) (link, error) {
	l, err := n.memNet.Dial(ctx, local, remote, o)
	if err != nil {
		return nil, err
	}
	return tapLink{l, n.said}, nil
}

type tapLink struct {
	link
	said *bytes.Buffer
}

func (l tapLink) Write(p []byte) (int, error) {
	l.said.Write(p) // one goroutine at a time writes
	return l.link.Write(p)
}

// Either both ends are secure or both are plain. Otherwise the one that dials ends with 4, nothing is sent and nothing made;
// a plain end that listens does the same, a secure one goes on waiting for a friend.
func TestModesDoNotMix(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	src := writeFile(t, dir, "a", []byte("payload"))
	run(t, procOptions{net: n}, "key", "show").ends(0)
	send := func(flags ...string) []string { return append([]string{"send", src}, flags...) }
	recv := func(flags ...string) []string { return append([]string{"recv", "-o", dir + "/new/"}, flags...) }
	for _, sender := range []bool{true, false} {
		listener, dialler := recv, send
		if sender {
			listener, dialler = send, recv
		}
		dial := func(port string, flags ...string) []string {
			args := dialler(flags...)
			return append(args[:1:1], append([]string{"127.0.0.1:" + port}, args[1:]...)...)
		}
		l := start(t, procOptions{net: n}, listener("--listen=:0", "--insecure")...)
		run(t, procOptions{net: n}, dial(l.listening())...).ends(4).says("wants a plain session, this one is secure", "hint: give --insecure at both ends or at neither")
		l.ends(4).says("wants a secure session, this one is plain", "hint: give --insecure at both ends or at neither")

		l = start(t, procOptions{net: n}, listener("--listen=:0")...)
		port := l.listening()
		run(t, procOptions{net: n}, dial(port, "--insecure")...).ends(4).says("wants a secure session, this one is plain", "hint: give --insecure")
		l.stderr.await("warning: refused .*wants a plain session, this one is secure\n.*hint: give --insecure at both ends", l.done)
		if _, err := os.Stat(dir + "/new"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the destination was made: %v", err)
		}
		run(t, procOptions{net: n}, dial(port)...).ends(0)
		l.ends(0)
		if b, err := os.ReadFile(dir + "/new/a"); err != nil || string(b) != "payload" {
			t.Errorf("%q, %v", b, err)
		}
		if err := os.RemoveAll(dir + "/new"); err != nil {
			t.Fatal(err)
		}
	}
}

// advice is the command in a line that a process printed.
func advice(t *testing.T, p *process, pattern string) []string {
	t.Helper()
	m := p.stderr.await(pattern+`(udtcp key [a-z0-9 -]+)\n`, p.done)
	if m == nil {
		t.Fatalf("no advice %q in %s", pattern, p.stderr)
	}
	return strings.Fields(m[1])[1:]
}

// Two users who do as they are told get there, while the listener waits, and see nothing of each other's files before.
func TestStrangersBecomeFriends(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	here, there := procOptions{net: n, config: t.TempDir()}, procOptions{net: n, config: t.TempDir()}
	src := writeFile(t, dir, "a", []byte("payload"))
	r := start(t, there, "recv", "--listen=:0", "-o", dir+"/in/")
	to := "127.0.0.1:" + r.listening()

	// No identity here yet.
	run(t, here, "send", to, src).ends(4).says("no identity yet", "hint: 'udtcp key show' makes one")
	mine := strings.TrimSpace(run(t, here, "key", "show").ends(0).stdout.String())

	// The receiver is not trusted here. It does not learn whose key it was that refused its own.
	s := run(t, here, "send", to, src).ends(4).says("has the key udtcp-pub1.*not trusted here")
	theirs := r.stderr.await(`made an identity, (\S+),`, r.done)[1]
	if cmd := advice(t, s, "hint: if 'udtcp key show' there prints that key: "); cmd[2] != theirs {
		t.Errorf("the sender is told to run %v", cmd)
	} else {
		run(t, here, cmd...).ends(0)
	}
	if cmd := advice(t, r, "does not trust this end's key\nudtcp: hint: run there: "); cmd[2] != theirs || strings.Contains(r.stderr.String(), mine) {
		t.Errorf("the receiver is told to run %v: %s", cmd, r.stderr)
	}

	// Now the sender is not trusted there.
	s = run(t, here, "send", to, src).ends(4).says("does not trust this end's key")
	told, asked := advice(t, s, "hint: run there: "), advice(t, r, "not trusted here\nudtcp: hint: if 'udtcp key show' there prints that key: ")
	if fmt.Sprint(told) != fmt.Sprint(asked) || told[2] != mine {
		t.Errorf("one is told %v, the other %v", told, asked)
	}
	if _, err := os.Stat(dir + "/in"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the destination was made: %v", err)
	}
	run(t, there, told...).ends(0)

	run(t, here, "send", to, src).ends(0)
	r.ends(0)
	if b, err := os.ReadFile(dir + "/in/a"); err != nil || string(b) != "payload" {
		t.Errorf("%q, %v", b, err)
	}
}

// --peer is for this time, a throw-away identity in the environment for both ends at once.
func TestOtherIdentities(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	here, there := procOptions{net: n, config: t.TempDir()}, procOptions{net: n, config: t.TempDir()}
	src := writeFile(t, dir, "a", []byte("payload"))
	mine := strings.TrimSpace(run(t, here, "key", "show").ends(0).stdout.String())
	theirs := strings.TrimSpace(run(t, there, "key", "show").ends(0).stdout.String())
	r := start(t, there, "recv", "--listen=:0", "-o", "-", "--peer", mine)
	run(t, here, "send", "--peer", secure.NewIdentity().Public().String(), "--peer", theirs, "127.0.0.1:"+r.listening(), src).ends(0)
	r.ends(0)

	fresh := run(t, procOptions{}, "key", "new").ends(0)
	secret := strings.TrimSpace(fresh.stdout.String())
	fresh.says("public key: udtcp-pub1")
	here.env, there.env = map[string]string{"UDTCP_IDENTITY": secret}, map[string]string{"UDTCP_IDENTITY": secret}
	r = start(t, there, "recv", "--listen=:0", "-o", "-", "-vv")
	s := run(t, here, "send", "-vv", "--json", "127.0.0.1:"+r.listening(), src).ends(0)
	r.ends(0)
	if key := regexp.MustCompile(`udtcp-pub1\w+`).FindString(fresh.stderr.String()); event(t, s, "connected")["peer_key"] != key {
		t.Errorf("the peer is not %s: %s", key, s.stdout)
	}
	if all := s.all.String() + r.all.String(); strings.Contains(all, secret) || strings.Contains(all, secret[20:40]) {
		t.Error("the private key was printed")
	}

	// As a file, by flag or variable; the flag wins.
	file := writeFile(t, dir, "key", []byte(secret+"\n"))
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	there.env["UDTCP_IDENTITY"], here.env["UDTCP_IDENTITY"] = file, "/nonexistent"
	r = start(t, there, "recv", "--listen=:0", "-o", "-")
	run(t, here, "send", "--identity", file, "127.0.0.1:"+r.listening(), src).ends(0)
	r.ends(0)
	run(t, here, "recv", "--listen=:0").ends(4).says("cannot open /nonexistent")
	// cat and perf have no use for it, and nothing against it.
	run(t, here, "cat", "--connect-timeout", "10ms", "127.0.0.1:1").ends(3)
	run(t, here, "perf", "--connect-timeout", "10ms", "127.0.0.1:1").ends(3)
}

// A private key that is given in the wrong place is refused, and not repeated.
func TestPrivateKeyIsNotRepeated(t *testing.T) {
	secret := secure.NewIdentity().Secret()
	file := writeFile(t, t.TempDir(), "a", nil)
	for _, args := range [][]string{
		{"send", "--identity", secret, "host", file}, {"recv", "--identity=" + secret, "host"}, {"perf", "--secure", "--identity", secret, "host"},
		{"key", "show", "--identity", secret}, {"send", "--peer", secret, "host", file}, {"key", "trust", secret}, {"key", secret},
		{"key", "trust", secure.NewIdentity().Public().String(), secret},
	} {
		p := run(t, procOptions{}, append(args, "--json")...)
		if p.code != 2 || strings.Contains(p.all.String(), secret[14:30]) {
			t.Errorf("udtcp %s …: %d, %s", args[0], p.code, strings.ReplaceAll(p.all.String(), secret, "SECRET"))
		}
	}
	p := run(t, procOptions{env: map[string]string{"UDTCP_PEER": secret}}, "recv", "host").ends(2)
	if strings.Contains(p.all.String(), secret[14:30]) {
		t.Error("the private key was printed")
	}
	for _, given := range []string{secret[:40], "# udtcp identity\n" + secret + "\n"} { // the latter: $(cat identity)
		p = run(t, procOptions{env: map[string]string{"UDTCP_IDENTITY": given}}, "recv", "host")
		if p.code == 0 || strings.Contains(p.all.String(), secret[14:30]) {
			t.Errorf("%d, or the private key was printed", p.code)
		}
	}
}

// An identity that others can read is not used.
func TestIdentityOfOthers(t *testing.T) {
	o := procOptions{net: newMemNet(), config: t.TempDir()}
	run(t, o, "key", "show").ends(0)
	path := filepath.Join(o.config, "udtcp", "identity")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"recv", "--listen=:0"}, {"recv", "127.0.0.1:7"}, {"key", "show"}} {
		run(t, o, args...).ends(4).says("others can read "+path, "hint: chmod 600 "+path)
	}
	if len(o.net.asked) != 0 {
		t.Error("it dialled or listened all the same")
	}
	run(t, procOptions{env: map[string]string{"XDG_CONFIG_HOME": ""}}, "key", "show").ends(4).says("no place for an identity")
}

func TestKeyCommands(t *testing.T) {
	o := procOptions{config: t.TempDir()}
	dir := filepath.Join(o.config, "udtcp")
	if got := run(t, o, "key", "path").ends(0).stdout.String(); got != dir+"\n" {
		t.Errorf("path: %q", got)
	}
	var paths, shown map[string]string
	if err := json.Unmarshal([]byte(run(t, o, "key", "path", "--json").ends(0).stdout.String()), &paths); err != nil ||
		paths["identity"] != dir+"/identity" || paths["trusted"] != dir+"/trusted" || paths["directory"] != dir {
		t.Errorf("path --json: %v, %v", paths, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("path made something")
	}
	first := run(t, o, "key", "show").ends(0)
	first.says("made an identity")
	again := run(t, o, "key", "show", "--json").ends(0)
	if err := json.Unmarshal([]byte(again.stdout.String()), &shown); err != nil || shown["public_key"]+"\n" != first.stdout.String() {
		t.Errorf("show: %v, %v", shown, err)
	}
	if again.stderr.String() != "" {
		t.Errorf("show says %s", again.stderr)
	}
	a, b := secure.NewIdentity().Public().String(), secure.NewIdentity().Public().String()
	run(t, o, "key", "trust", a, "laptop", "of Ada").ends(0)
	run(t, o, "key", "trust", b).ends(0)
	run(t, o, "key", "trust", a).ends(0).says("trusted already")
	text, err := os.ReadFile(dir + "/trusted")
	if err != nil || !regexp.MustCompile(`^`+a+` laptop of Ada\n`+b+` \d{4}-\d\d-\d\d\n$`).Match(text) {
		t.Errorf("%q, %v", text, err)
	}
	run(t, procOptions{config: o.config, stdout: brokenPipe{}}, "key", "show").ends(7)
	one, two := run(t, o, "key", "new").ends(0).stdout.String(), run(t, o, "key", "new").ends(0).stdout.String()
	if one == two || !strings.HasPrefix(one, "udtcp-secret1") {
		t.Errorf("%d and %d bytes", len(one), len(two))
	}
}

// Strangers that come and say nothing, or nonsense, keep nobody out, and a listener lets only so many stay.
func TestStalledStrangers(t *testing.T) {
	clients := 300
	if os.Getenv("UDTCP_ATTACK") != "" {
		clients = 10_000
	}
	synctest.Test(t, func(t *testing.T) {
		n, dir := newMemNet(), t.TempDir()
		src := writeFile(t, dir, "a", []byte("payload"))
		r := start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", dir+"/in/")
		port := netip.MustParseAddrPort("127.0.0.1:" + r.listening())
		var strangers []link
		for i := range clients {
			l, err := n.Dial(t.Context(), "", port, linkOptions{})
			if err != nil {
				t.Fatal(err)
			}
			strangers = append(strangers, l)
			if i%2 == 0 {
				if _, err := l.Write([]byte("UDTCP\x01s\n\x16\x03\x01\xff")); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		broken := 0
		for _, l := range strangers {
			if _, err := io.Copy(io.Discard, deadlined{l}); errors.Is(err, errMemLost) {
				broken++
			}
		}
		if broken != clients-4 {
			t.Errorf("of %d from one source %d were sent away", clients, broken)
		}
		began := time.Now()
		run(t, procOptions{net: n}, "send", port.String(), src).ends(0)
		r.ends(0)
		d := time.Since(began)
		if d > time.Second {
			t.Errorf("a friend waited %v", d)
		}
		t.Logf("%d stalled clients, %d sent away; a friend was through in %v", clients, broken, d)
		for _, l := range strangers {
			_ = l.Abort()
		}
	})
}

// Of a peer that is not known yet little is kept, whichever end it is; of one that is, as much as the window takes.
func TestStrangersHaveLittleRoom(t *testing.T) {
	n, dir := newMemNet(), t.TempDir()
	src := writeFile(t, dir, "a", []byte("payload"))
	r := start(t, procOptions{net: n}, "recv", "--listen=:0", "-o", dir+"/in/")
	port := r.listening()
	run(t, procOptions{net: n, config: t.TempDir(), env: map[string]string{"UDTCP_IDENTITY": secure.NewIdentity().Secret()}}, "send", "127.0.0.1:"+port, src).ends(4)
	if n.opened != 0 {
		t.Errorf("%d windows opened for strangers", n.opened)
	}
	run(t, procOptions{net: n}, "send", "127.0.0.1:"+port, src).ends(0)
	r.ends(0)
	for i, o := range n.asked {
		if o.firstWindow != 64<<10 {
			t.Errorf("link %d: room for %d bytes", i, o.firstWindow)
		}
	}
	if len(n.asked) != 3 || n.opened != 2 {
		t.Errorf("%d windows opened at %d ends", n.opened, len(n.asked))
	}

	n = newMemNet() // where nobody is to be known there is nothing to wait for
	r = start(t, procOptions{net: n}, "recv", "--insecure", "--listen=:0", "-o", dir+"/plain/")
	run(t, procOptions{net: n}, "send", "--insecure", "127.0.0.1:"+r.listening(), src).ends(0)
	r.ends(0)
	for i, o := range n.asked {
		if o.firstWindow != 0 {
			t.Errorf("plain link %d: room for %d bytes", i, o.firstWindow)
		}
	}
}

// deadlined reads what is there.
type deadlined struct{ link }

func (d deadlined) Read(p []byte) (int, error) {
	_ = d.SetReadDeadline(time.Now())
	return d.link.Read(p)
}

// An attacker does not fill the disk with the listener's log.
func TestRefusalsAreTold(t *testing.T) {
	out := newWatched()
	var r refusals
	for range 3 * maxRefusals {
		r.tell(&console{w: out}, "192.0.2.1:7", &secure.Error{Kind: secure.KindAuth, Msg: "no", Hint: "do"})
	}
	if got := strings.Count(out.String(), "refused 192.0.2.1:7: no\nudtcp: hint: do\n"); got != maxRefusals || !strings.HasSuffix(out.String(), "in silence\n") {
		t.Errorf("%d are told: %s", got, out)
	}
	out = newWatched()
	r = refusals{}
	r.tell(&console{w: out}, "192.0.2.1:7", &secure.Error{Kind: secure.KindNoConnection, Msg: "no"})
	if out.String() != "" {
		t.Errorf("a scan is told: %s", out)
	}
}

func TestSecurePerf(t *testing.T) {
	n := newMemNet()
	l := start(t, procOptions{net: n}, "perf", "--secure", "--listen=:0", "--json")
	d := run(t, procOptions{net: n}, "perf", "--secure", "--json", "--streams", "2", "-n", "3Mi", "127.0.0.1:"+l.listening()).ends(0)
	l.ends(0)
	for _, p := range []*process{d, l} {
		if ev := lastEvent(t, p.stdout.String()); ev["bytes"] != float64(3<<20) {
			t.Errorf("%v", ev)
		}
		if key, _ := event(t, p, "connected")["peer_key"].(string); !strings.HasPrefix(key, "udtcp-pub1") {
			t.Errorf("%v", event(t, p, "connected"))
		}
	}

	l = start(t, procOptions{net: n}, "perf", "--listen=:0")
	port := l.listening()
	run(t, procOptions{net: n}, "perf", "--secure", "127.0.0.1:"+port).ends(4).says("wants a plain test, this one is secure", "hint: give --secure")
	run(t, procOptions{net: n}, "perf", "-n", "1Mi", "127.0.0.1:"+port).ends(0)
	l.ends(0)

	l = start(t, procOptions{net: n}, "perf", "--secure", "--listen=:0")
	port = l.listening()
	run(t, procOptions{net: n}, "perf", "127.0.0.1:"+port).ends(4).says("wants a secure test, this one is plain", "hint: give --secure")
	l.stderr.await("warning: refused .*wants a plain test", l.done)
	// A transfer is no test, although both are secure and of one user.
	run(t, procOptions{net: n}, "recv", "127.0.0.1:"+port).ends(4).says("does not speak udtcp's transfer protocol")
	run(t, procOptions{net: n}, "perf", "--secure", "-R", "-n", "1Mi", "127.0.0.1:"+port).ends(0)
	l.ends(0)

	run(t, procOptions{net: n}, "perf", "--secure", "--emulate", "rate=1Gbit,rtt=1ms", "-n", "1Mi").ends(0)
}
