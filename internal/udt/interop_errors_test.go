package udt_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/udtcp/udtcp/internal/udt"
)

// Libudt's codes have the texts that they have here, which only leave the full
// stop out and mend a slip.
func testErrorTexts(t *testing.T, l *lab) {
	out, err := exec.CommandContext(testContext(t), l.udtpeer, "codes").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 37 {
		t.Errorf("libudt has %d codes, want 37", len(lines))
	}
	for _, line := range lines {
		number, text, _ := strings.Cut(line, " ")
		var code udt.Code
		if _, err := fmt.Sscan(number, &code); err != nil {
			t.Fatal(err)
		}
		text = strings.Replace(text, "rendezous", "rendezvous", 1) //nolint:misspell // libudt's own
		if text = strings.TrimSuffix(text, "."); code.Error() != text && text != "" {
			t.Errorf("%d is %q, libudt's %q", code, code.Error(), text)
		}
	}
}
