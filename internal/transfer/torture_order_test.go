package transfer

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCommitOrder: content, sync of it, record, sync of it, after the first the sync of both names; then the final sync, the
// name, the directory, the receipt. That what is recorded is also kept is no matter of safety, so that no crash would show
// its lack as a wrong file.
func TestCommitOrder(t *testing.T) {
	want := regexp.MustCompile(`^content record recorded directory (content record recorded )*(content )?whole name directory receipt $`)
	list := tortures(t)
	large := list[slices.IndexFunc(list, func(c *tortured) bool { return c.name == "large file" })]
	r := large.run(t.Context(), large.old, false)
	if err := large.ended(r); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]int{}
	for _, s := range r.steps {
		if s.born {
			nodes[s.name] = s.child
		}
	}
	part, journal := nodes[".larger.udtcp-part"], nodes[".larger.udtcp-journal"]
	word := func(s step) string {
		switch {
		case s.kind == stepDatasync && s.node == part:
			return "content "
		case s.kind == stepWrite && s.node == journal:
			return "record "
		case s.kind == stepDatasync && s.node == journal:
			return "recorded "
		case s.kind == stepSync && s.node == part:
			return "whole "
		case s.kind == stepRename && s.to == "larger":
			return "name "
		case s.kind == stepSync:
			return "directory "
		}
		return ""
	}
	var order strings.Builder
	last := ""
	for i := range len(r.steps) + 1 {
		if len(r.kept(i)) > len(r.kept(i-1)) {
			order.WriteString("receipt ")
		}
		if i == len(r.steps) {
			break
		}
		w := word(r.steps[i])
		if w == "record " && last == w {
			continue // in several pieces
		}
		order.WriteString(w)
		if w != "" {
			last = w
		}
	}
	if got := order.String(); !want.MatchString(got) {
		t.Errorf("the order is %s", got)
	}
}
