package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// unscripted are statuses that no script produces, and why.
var unscripted = map[status]string{
	exitInternal: "a fault of the program is one that nobody knows of",
	exitUnknown:  "TestReceiptLost: it takes a connection that breaks between the last byte and the receipt",
}

// TestStatusesScripted: for either role, every status of the table in the help text is produced by at least two of the
// cases in testdata/script.
func TestStatusesScripted(t *testing.T) {
	const enough = 2
	scripts, err := filepath.Glob("testdata/script/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	type ending struct {
		role   string
		status status
	}
	count := map[ending]int{}
	for _, path := range scripts {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		roles := map[string]string{} // of processes by name
		for line := range strings.Lines(string(b)) {
			words := strings.Fields(line)
			switch {
			case len(words) < 3:
			case words[0] == "start":
				roles[words[1]] = roleOf(words[2:])
			case words[0] == "run":
				count[ending{roleOf(words[2:]), statusOf(words[1])}]++
			case words[0] == "ends":
				count[ending{roles[words[1]], statusOf(words[2])}]++
			}
		}
	}
	for _, role := range []string{"send", "recv"} {
		for _, s := range transferStatuses {
			if n := count[ending{role, s}]; n < enough && unscripted[s] == "" {
				t.Errorf("%s ends with %d in %d scripted cases, want %d", role, s, n, enough)
			}
		}
	}
}

// roleOf is the command of a line, after its options.
func roleOf(words []string) string {
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
