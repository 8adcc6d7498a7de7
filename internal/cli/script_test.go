package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// tryReachVariable makes the tests' own program tryReach.
const tryReachVariable = "UDTCP_TEST_REACH"

func TestMain(m *testing.M) {
	if os.Getenv(tryReachVariable) != "" {
		tryReach()
		os.Exit(0)
	}
	// Scripts wait more than they compute. The command line has the last word.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){
		"udtcp": func() { os.Exit(Main(os.Args[1:], scriptEnv())) },
	})
}

// The scripts run real processes over real sockets on the loopback interface, one script for each promise. Beside
// testscript's own commands they have:
//
//	run CODE [OPTIONS] ARGS...      run udtcp and check its exit status
//	start NAME [OPTIONS] ARGS...    start udtcp; OPTIONS are -in FILE for its standard input (-in pipe: open until
//	                                `eof NAME`) and -out FILE for its standard output (-out closed: a pipe that nobody reads)
//	ports VAR...                    put UDP ports that nobody has into the variables
//	listening NAME VAR              wait until NAME listens and put its port into the variable
//	sees NAME PATTERN               wait until standard error or output of NAME matches
//	sig NAME INT|TERM|KILL          send a signal
//	router VAR PORT FILE            pass datagrams on to PORT, from the one put into the variable, and back until FILE exists
//	eof NAME                        end the standard input of a process started with -in pipe
//	ends NAME CODE                  wait for the end and check the exit status; stdout and stderr are then NAME's
//	end CODE FILE|stdout|stderr     the last line is the event "end" with that code, and no other is
//	gen FILE SIZE [SEED]            make a file of pseudo-random bytes
//	same A B                        two files or trees are the same: bytes and permissions
//	tmpfs DIR SIZE                  mount a small file system, where the condition tmpfs holds
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Values[processes{}] = map[string]*scriptProcess{}
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, ".config")) // one user, unless the script says otherwise
			for _, name := range inherited {
				env.Setenv(name, os.Getenv(name))
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"run": cmdRun, "start": cmdStart, "ports": cmdPorts, "listening": cmdListening, "router": cmdRouter, "sees": cmdSees, "sig": cmdSig, "eof": cmdEOF, "ends": cmdEnds,
			"end": cmdEnd, "gen": cmdGen, "same": cmdSame, "tmpfs": cmdTmpfs,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "landlock":
				return hasLandlock(), nil
			case "tmpfs":
				return canMount(t), nil
			case "ipv6":
				c, err := net.ListenPacket("udp6", "[::1]:0")
				if err != nil {
					return false, nil //nolint:nilerr // that is the answer
				}
				return true, c.Close()
			}
			return false, fmt.Errorf("no such condition: %s", cond)
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// inherited are variables of the whole test run that udtcp gets, unless a script sets them otherwise.
var inherited = []string{"GOCOVERDIR", "GORACE", "UDTCP_NO_GSO", "UDTCP_NO_GRO", "UDTCP_NO_MMSG"}

// patience is how long a script waits for anything.
const patience = 60 * time.Second

// processes is the key of a script's processes among its values.
type processes struct{}

// scriptProcess is a udtcp process that a script started.
type scriptProcess struct {
	cmd                 *exec.Cmd
	stdin               io.WriteCloser
	stdout, stderr, all *watched
	done                chan struct{}
	err                 error // of Wait, once done
}

func scriptProc(ts *testscript.TestScript, name string) *scriptProcess {
	all, ok := ts.Value(processes{}).(map[string]*scriptProcess)
	if !ok || all[name] == nil {
		ts.Fatalf("there is no process %s", name)
	}
	return all[name]
}

// launch starts udtcp; args may begin with options.
func launch(ts *testscript.TestScript, args []string) *scriptProcess {
	p := &scriptProcess{stdout: newWatched(), stderr: newWatched(), all: newWatched(), done: make(chan struct{})}
	options := map[string]string{}
	for len(args) > 1 && (args[0] == "-in" || args[0] == "-out") {
		options[args[0]], args = args[1], args[2:]
	}
	path, err := exec.LookPath("udtcp")
	ts.Check(err)
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "XDG_CONFIG_HOME", "UDTCP_IDENTITY", "UDTCP_PEER", faultVariable} {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	p.cmd.Env = append(p.cmd.Env, "UDTCP_RETRY_FOR=0") // what is lost is to be lost at once, unless the script says more
	for _, name := range inherited {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	p.cmd.Stdout = io.MultiWriter(p.stdout, p.all)
	p.cmd.Stderr = io.MultiWriter(p.stderr, p.all)
	switch out := options["-out"]; out {
	case "":
	case "closed":
		r, w, err := os.Pipe()
		ts.Check(err)
		ts.Check(r.Close())
		defer w.Close()
		p.cmd.Stdout = w
	default:
		f, err := os.Create(ts.MkAbs(out))
		ts.Check(err)
		defer f.Close()
		p.cmd.Stdout = f
	}
	switch in := options["-in"]; in {
	case "":
	case "pipe":
		p.stdin, err = p.cmd.StdinPipe()
		ts.Check(err)
	default:
		f, err := os.Open(ts.MkAbs(in))
		ts.Check(err)
		defer f.Close()
		p.cmd.Stdin = f
	}
	ts.Logf("udtcp %s", strings.Join(args, " "))
	ts.Check(p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	ts.Defer(func() {
		_ = p.cmd.Process.Kill() // most have ended by themselves
		<-p.done
	})
	return p
}

// ends waits for the end and checks the exit status.
func (p *scriptProcess) ends(ts *testscript.TestScript, code string) {
	want, err := strconv.Atoi(code)
	ts.Check(err)
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) }) // shows where it hangs
	<-p.done
	inTime := late.Stop()
	_, _ = io.WriteString(ts.Stdout(), p.stdout.String())
	_, _ = io.WriteString(ts.Stderr(), p.stderr.String())
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		ts.Fatalf("%v", p.err)
	}
	if !inTime {
		ts.Fatalf("it hangs")
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit status %d (%v), want %d", got, p.cmd.ProcessState, want)
	}
}

func need(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", usage)
	}
}

func cmdRun(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "run CODE [OPTIONS] ARGS...")
	launch(ts, args[1:]).ends(ts, args[0])
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "start NAME [OPTIONS] ARGS...")
	all, _ := ts.Value(processes{}).(map[string]*scriptProcess)
	all[args[0]] = launch(ts, args[1:])
}

// await waits for a pattern in everything that p writes.
func (p *scriptProcess) await(ts *testscript.TestScript, pattern string) []string {
	late := make(chan struct{})
	defer time.AfterFunc(patience, func() { close(late) }).Stop()
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-p.done:
		case <-late:
		}
	}()
	m := p.all.await(pattern, over)
	if m == nil {
		ts.Fatalf("no %q in\n%s", pattern, p.all)
	}
	return m
}

func cmdListening(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "listening NAME VAR")
	ts.Setenv(args[1], scriptProc(ts, args[0]).await(ts, `(?:listening on |"address":")\S+:(\d+)["\n]`)[1])
}

// cmdPorts holds all ports at once, so that they differ, and then lets them go.
func cmdPorts(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "ports VAR...")
	held := make([]*net.UDPConn, len(args))
	for i, name := range args {
		c, err := net.ListenUDP("udp", nil) // IPv4 and IPv6
		ts.Check(err)
		held[i] = c
		_, port, err := net.SplitHostPort(c.LocalAddr().String())
		ts.Check(err)
		ts.Setenv(name, port)
	}
	for _, c := range held {
		ts.Check(c.Close())
	}
}

func cmdRouter(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3, "router VAR PORT FILE")
	file := ts.MkAbs(args[2])
	r, err := newRouter(args[1], func(back bool, _ int) bool {
		_, err := os.Lstat(file)
		return !back || err != nil
	})
	ts.Check(err)
	ts.Defer(func() { ts.Check(r.close()) })
	ts.Setenv(args[0], r.port())
}

func cmdSees(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "sees NAME PATTERN")
	scriptProc(ts, args[0]).await(ts, args[1])
}

func cmdSig(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "sig NAME INT|TERM|KILL")
	sig := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}[args[1]]
	ts.Check(scriptProc(ts, args[0]).cmd.Process.Signal(sig))
}

func cmdEOF(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "eof NAME")
	ts.Check(scriptProc(ts, args[0]).stdin.Close())
}

func cmdEnds(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "ends NAME CODE")
	scriptProc(ts, args[0]).ends(ts, args[1])
}

func cmdEnd(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "end CODE FILE")
	lines := strings.Split(strings.TrimRight(ts.ReadFile(args[1]), "\n"), "\n")
	for i, line := range lines {
		var ev struct {
			Event    string `json:"event"`
			ExitCode int    `json:"exit_code"`
		}
		if !strings.HasPrefix(line, "{") && i < len(lines)-1 {
			continue // a line for people on the same stream
		}
		ts.Check(json.Unmarshal([]byte(line), &ev))
		if (ev.Event == "end") != (i == len(lines)-1) {
			ts.Fatalf("line %d of %d is %s", i+1, len(lines), line)
		}
		if ev.Event == "end" && strconv.Itoa(ev.ExitCode) != args[0] {
			ts.Fatalf("the event has exit code %d, want %s", ev.ExitCode, args[0])
		}
	}
}

func cmdGen(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "gen FILE SIZE [SEED]")
	size, err := parseSize(args[1])
	ts.Check(err)
	var seed [32]byte
	if len(args) > 2 {
		copy(seed[:], args[2])
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = io.CopyN(f, rand.NewChaCha8(seed), size)
	ts.Check(err)
	ts.Check(f.Close())
}

func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "same A B")
	a, err := digestTree(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := digestTree(ts.MkAbs(args[1]))
	ts.Check(err)
	if a != b {
		ts.Fatalf("%s:\n%s%s:\n%s", args[0], a, args[1], b)
	}
}

// digestTree lists a file or everything in a directory with permissions and digests.
func digestTree(root string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || d.IsDir() && name == "." {
			return err
		}
		if d.IsDir() {
			fmt.Fprintf(&b, "%v %s\n", info.Mode(), name)
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		fmt.Fprintf(&b, "%v %s %s\n", info.Mode(), hex.EncodeToString(h.Sum(nil)), name)
		return nil
	})
	return b.String(), err
}

func cmdTmpfs(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "tmpfs DIR SIZE")
	if !regexp.MustCompile(`^\d+[km]$`).MatchString(args[1]) {
		ts.Fatalf("size %s", args[1])
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	unmount, err := mountTmpfs(dir, args[1])
	ts.Check(err)
	ts.Defer(unmount)
}

// canMount says, loudly if not, whether tmpfs works here.
func canMount(t *testing.T) bool {
	unmount, err := mountTmpfs(t.TempDir(), "64k")
	if err != nil {
		fmt.Fprintf(os.Stderr, "WARNING: the full disk scripts do NOT RUN: cannot mount a small file system: %v\n", err)
		return false
	}
	unmount()
	return true
}
