package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// ending is how a command, which is the role of an end, ends.
type ending struct {
	command string
	status  status
}

// unscripted are endings that no script produces, and the tests that do.
var unscripted = map[ending]string{
	{"perf", exitIntegrity}: "TestPerfCountsDiffer: it takes an end that counts wrong",
	{"perf", exitPolicy}:    "TestPerfBusy: it takes two tests that begin at the same moment",
}

// TestStatusesScripted: every status that a command's help lists is produced by at least two of the cases in
// testdata/script.
func TestStatusesScripted(t *testing.T) {
	const enough = 2
	count := scriptedEndings(t)
	for _, cmd := range newRootCommand(&app{}).Commands() {
		for line := range strings.Lines(cmd.Annotations[exitAnnotation]) {
			e := ending{cmd.Name(), statusOf(strings.Fields(line)[0])}
			switch n := count[e]; {
			case n < enough && unscripted[e] == "":
				t.Errorf("%s ends with %d in %d scripted cases, want %d", e.command, e.status, n, enough)
			case n >= enough && unscripted[e] != "":
				t.Errorf("%s ends with %d in %d scripted cases: it needs no exception", e.command, e.status, n)
			}
		}
	}
}

// scriptedEndings counts the endings that scripts ask for, where they run: not behind what may be skipped on Linux.
func scriptedEndings(t *testing.T) map[ending]int {
	t.Helper()
	scripts, err := filepath.Glob("testdata/script/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	count := map[ending]int{}
	for _, path := range scripts {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		commands := map[string]string{} // of processes by name
	script:
		for line := range strings.Lines(string(b)) {
			words := strings.Fields(line)
			switch {
			case len(words) < 2:
			case words[0] == "--", words[0] != "[!linux]" && (words[1] == "skip" || words[1] == "stop"):
				break script // files, or what does not run everywhere
			case len(words) < 3:
			case words[0] == "start":
				commands[words[1]] = commandOf(words[2:])
			case words[0] == "run":
				count[ending{commandOf(words[2:]), statusOf(words[1])}]++
			case words[0] == "ends":
				count[ending{commands[words[1]], statusOf(words[2])}]++
			}
		}
	}
	return count
}

// commandOf is the command of a line, after its options.
func commandOf(words []string) string {
	for len(words) > 2 && strings.HasPrefix(words[0], "-") {
		words = words[2:]
	}
	return words[0]
}

func statusOf(word string) status {
	n, err := strconv.Atoi(word)
	if err != nil {
		return -1
	}
	return status(n)
}
