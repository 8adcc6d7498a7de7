package cli

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/udtcp/udtcp/internal/transfer/secure"
)

func TestUsageErrors(t *testing.T) {
	for _, tc := range []struct {
		args string
		want string // on standard error
	}{
		{"", "Usage:"},
		{"snd", `there is no command "snd"\nudtcp: hint: did you mean 'udtcp send'\?`},
		{"frobnicate", `udtcp --help`},
		{"key", "show, new, trust or path"},
		{"key sho", "key has show, new, trust and path"},
		{"key trust", "give the KEY"},
		{"key trust udtcp-pub1x", "not complete"},
		{"key show x", "takes no arguments"},
		{"key new x", "takes no arguments"},
		{"key path x", "takes no arguments"},
		{"send --peer=x host f", "that is no key"},
		{"send --insecure --identity=x host f", "--identity: --insecure is without"},
		{"recv --compat=sendfile --peer=PEER host a", "--peer: --compat sendfile has no"},
		{"cat --identity=x host", "--identity: cat is plain"},
		{"cat --peer=PEER host", "--peer: cat is plain"},
		{"perf --identity=x host", "--identity: perf is plain unless --secure"},
		{"perf --secure --insecure host", "exclude each other"},
		{"send", "where to"},
		{"send host", "nothing to send"},
		{"send --listen", "nothing to send"},
		{"send --listen :7000", "nothing to send"},
		{"send :7000 f", "names no host.*--listen"},
		{"send host - f", "goes alone"},
		{"send --listen -k -", "exclude each other"},
		{"send -k host f", "-k needs --listen"},
		{"send --nonsense host f", "unknown flag: --nonsense\nudtcp: hint: see 'udtcp send --help'"},
		{"send --digest md5 host f", `--digest "md5": want blake3 or sha256`},
		{"send -p --no-preserve host f", "exclude each other"},
		{"send --exclude [ host .", `the pattern "\[" cannot be read.*\n.*hint`},
		{"send -0 host f", "-0 is for --files-from"},
		{"send -n host -", "exclude each other"},
		{"send --files-from - host -", "no more than one directory"},
		{"send --files-from - host a b", "no more than one directory"},
		{"send --compat=sendfile --listen --exclude x f", "serves the files named"},
		{"recv --exclude x host", "it is for send"},
		{"recv --files-from=x host", "it is for send"},
		{"recv -n host", "--dry-run.*it is for send"},
		{"recv -0 host", "--null.*it is for send"},
		{"recv", "where to"},
		{"recv a b", "one address is enough"},
		{"recv --listen=:1 :2", "too much"},
		{"recv --listen=1:2:3", "brackets"},
		{"recv --listen --bind :1 :2", "leave out --bind"},
		{"recv --listen=:1 --bind :2", "leave out --bind"},
		{"recv -k --listen -o -", "exclude each other"},
		{"recv -k --max-sessions 0 --listen", "--max-sessions must be 1 or more"},
		{"recv --no-resume --verify host", "exclude each other"},
		{"send --no-resume --verify host f", "exclude each other"},
		{"recv --max-size 0 host", "--max-size must"},
		{"recv --max-size much host", `--max-size "much": want a size`},
		{"recv -4 -6 host", "-4 and -6"},
		{"recv -v -q host", "-v and -q"},
		{"recv --progress --no-progress host", "exclude each other"},
		{"recv --mss 95 host", "--mss"},
		{"recv --mss 65536 host", "--mss"},
		{"recv --mss x host", `--mss "x": invalid syntax`},
		{"recv --window 1 host", "--window"},
		{"recv --interval 0 host", "--interval"},
		{"recv --connect-timeout 0 host", "--connect-timeout"},
		{"recv --retry-for soon host", "--retry-for"},
		{"cat --retry-for 5m host", "unknown flag"},
		{"recv --cc bbr:1 host", "want bbr, native or fixed:RATE"},
		{"recv --cc fixed host", "fixed:100Mbit"},
		{"recv --cc fixed:x host", "want a rate"},
		{"recv --cc reno host", "want bbr, native or fixed:RATE"},
		{"recv --bwlimit 50Mb host", "bits or bytes"},
		{"recv --bind /dev host", "--bind"},
		{"recv --color blue host", "auto, always or never"},
		{"recv ./file", "not a host"},
		{"cat", "where to"},
		{"cat a b", "one address"},
		{"perf --listen -t 5", "for the end that dials"},
		{"perf --streams 0 host", "--streams"},
		{"perf --streams 129 host", "--streams"},
		{"perf -n 1 --streams 2 host", "-n"},
		{"perf -t 25h host", "-t must"},
		{"perf --bind :5 --streams 2 host", "leave the port out"},
		{"version x", "no arguments"},
		{"send --compat=ftp --listen f", `--compat "ftp": there is only sendfile`},
		{"cat --compat=sendfile host", `--compat "sendfile": it is for send and recv`},
		{"perf --compat=sendfile host", "it is for send and recv"},
		{"send --compat=sendfile host f", "waits to be asked: give --listen"},
		{"send --compat=sendfile --listen", "nothing to serve"},
		{"send --compat=sendfile --listen -", "standard input has no name"},
		{"send --compat=sendfile --listen .", `"." is a directory`},
		{"send --compat=sendfile --listen -r f", "--recursive and --compat sendfile exclude each other"},
		{"send --compat=sendfile --listen --no-preserve f", "neither mode nor time"},
		{"send --compat=sendfile -k host f", "-k needs --listen"},
		{"recv --compat=sendfile --listen f", "dials the server"},
		{"recv --compat=sendfile", "where to"},
		{"recv --compat=sendfile host", "which file"},
		{"recv --compat=sendfile host a b", `fetches one file: what is "b" for`},
		{"recv --compat=sendfile host dir/", "it is empty.*\\n.*-o FILE"},
		{"recv --compat=sendfile -p host a", "neither mode nor time"},
	} {
		p := run(t, procOptions{}, strings.Fields(strings.ReplaceAll(tc.args, "PEER", secure.NewIdentity().Public().String()))...)
		if p.code != 2 {
			t.Errorf("udtcp %s: exit status %d, want 2", tc.args, p.code)
		}
		if !regexp.MustCompile(tc.want).MatchString(p.stderr.String()) {
			t.Errorf("udtcp %s: standard error has nothing of %q:\n%s", tc.args, tc.want, p.stderr)
		}
		if p.stdout.String() != "" {
			t.Errorf("udtcp %s: standard output has %q", tc.args, p.stdout)
		}
		if tc.args != "" && !strings.HasPrefix(p.stderr.String(), "udtcp: ") {
			t.Errorf("udtcp %s: %q", tc.args, p.stderr)
		}
	}
}

func TestEnvironment(t *testing.T) {
	n := newMemNet()
	n.rejects = true
	env := map[string]string{
		"UDTCP_MSS": "1400", "UDTCP_CONNECT_TIMEOUT": "3s", "UDTCP_BWLIMIT": "8Mbit", "UDTCP_WINDOW": "1Mi", "UDTCP_CC": "fixed:1Mbit",
		"UDTCP_TIMEOUT": "0", "UDTCP_QUIET": "",
	}
	run(t, procOptions{net: n, env: env}, "recv", "--mss", "1300", "127.0.0.1").ends(3)
	o := n.asked[0]
	if o.mss != 1300 || o.bandwidth != 1e6 || o.window != 1<<20 || o.cc.name != "fixed" || o.cc.rate != 125000 || o.peerTimeout != forever {
		t.Errorf("options %+v", o)
	}
	if o.connectTimeout.Seconds() > 3 || o.connectTimeout.Seconds() < 2 {
		t.Errorf("connect timeout %v", o.connectTimeout)
	}
	run(t, procOptions{env: map[string]string{"UDTCP_MSS": "many"}}, "recv", "host").ends(2).says(`UDTCP_MSS="many": invalid syntax`)
	// One of a pair on the command line overrules the other in the environment.
	p := run(t, procOptions{net: n, env: map[string]string{"UDTCP_QUIET": "1"}}, "recv", "-v", "127.0.0.1").ends(3)
	p.says("connecting to")
}

func TestHelp(t *testing.T) {
	for _, cmd := range []string{"send", "recv", "cat", "perf", "key", "version"} {
		p := run(t, procOptions{}, cmd, "--help").ends(0)
		out := p.stdout.String()
		for _, section := range []string{"Usage:\n", "Examples:\n", "Flags:\n", "Exit status:\n"} {
			if !strings.Contains(out, section) && (cmd != "key" || section != "Flags:\n") {
				t.Errorf("udtcp %s --help lacks %q", cmd, section)
			}
		}
		for line := range strings.Lines(out) {
			if len([]rune(line)) > 121 {
				t.Errorf("udtcp %s --help: a line of %d columns: %s", cmd, len(line), line)
			}
		}
		if p.stderr.String() != "" {
			t.Errorf("udtcp %s --help: %s", cmd, p.stderr)
		}
	}
	out := run(t, procOptions{}, "--help").ends(0).stdout.String()
	for _, want := range []string{"send", "recv", "cat", "perf", "version", "Examples:"} {
		if !strings.Contains(out, want) {
			t.Errorf("udtcp --help lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "completion") {
		t.Errorf("udtcp --help offers what is not there:\n%s", out)
	}
}

func TestVersion(t *testing.T) {
	out := run(t, procOptions{}, "version").ends(0).stdout.String()
	if !regexp.MustCompile(`^udtcp \S+.* \(go\S+, \w+/\w+\)\n$`).MatchString(out) {
		t.Errorf("version: %q", out)
	}
	if got := run(t, procOptions{}, "--version").ends(0).stdout.String(); got != out {
		t.Errorf("--version: %q", got)
	}
	js := run(t, procOptions{}, "version", "--json").ends(0).stdout.String()
	if !regexp.MustCompile(`^\{"version":.*"go":.*"arch":.*\}\n$`).MatchString(js) {
		t.Errorf("version --json: %q", js)
	}
	run(t, procOptions{stdout: brokenPipe{}}, "version").ends(7)
}

// brokenPipe is a standard output whose reader has gone.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestJSONOfUsageErrors(t *testing.T) {
	for args, toStderr := range map[string]bool{
		"send --json --bogus host f":    false,
		"send --bogus --json host f":    false,
		"send --json host":              false,
		"recv --json --bogus -o - host": true,
		"recv --bogus --json -o- host":  true,
		"recv --json -o - --mss 1":      true,
		"cat --json a b":                true,
		"perf --json --mss 1 h":         false,
	} {
		p := run(t, procOptions{}, strings.Fields(args)...).ends(2)
		out, other := p.stdout.String(), p.stderr.String()
		if toStderr {
			out, other = other, out
			i := strings.Index(out, "{")
			out = out[max(i, 0):]
		}
		if ev := lastEvent(t, out); ev["exit_code"] != 2.0 || ev["reason"] == "" {
			t.Errorf("udtcp %s: %v", args, ev)
		}
		if strings.Contains(other, "{") {
			t.Errorf("udtcp %s: events on the wrong stream: %s", args, other)
		}
	}
	if p := run(t, procOptions{env: map[string]string{"UDTCP_JSON": "1"}}, "send", "--bogus").ends(2); p.stdout.String() == "" {
		t.Error("UDTCP_JSON made no event")
	}
	if p := run(t, procOptions{}, "send", "--bogus", "--", "--json").ends(2); p.stdout.String() != "" {
		t.Errorf("an argument was taken for a flag: %s", p.stdout)
	}
}
