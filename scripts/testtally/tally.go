package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build's output
	Test       string
	Output     string
}

// tally counts results and holds back the output of tests until it is known
// whether somebody will want it.
type tally struct {
	w       io.Writer
	held    map[string]*packageOutput
	skips   []string
	passed  int
	failed  int
	skipped int
	broken  int // packages that failed, for whatever reason
}

// packageOutput is what a package that has not ended yet has written.
type packageOutput struct {
	own   []string            // lines of no test
	tests map[string][]string // lines of tests still running
	order []string            // of tests' first lines
}

func newTally(w io.Writer) *tally {
	return &tally{w: w, held: map[string]*packageOutput{}}
}

// read takes events until the end of r. Lines that are no events are passed on.
func (t *tally) read(r io.Reader) error {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		if line != "" {
			t.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		t.print(line)
		return
	}
	if e.Action == "build-output" {
		t.print(e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := t.held[e.Package]
	if p == nil {
		p = &packageOutput{tests: map[string][]string{}}
		t.held[e.Package] = p
	}
	switch {
	case e.Action == "output":
		p.add(e.Test, e.Output)
	case e.Test == "":
		t.packageEnds(e, p)
	default:
		t.testEnds(e, p)
	}
}

func (p *packageOutput) add(test, line string) {
	if test == "" {
		p.own = append(p.own, line)
		return
	}
	if _, seen := p.tests[test]; !seen {
		p.order = append(p.order, test)
	}
	p.tests[test] = append(p.tests[test], line)
}

func (t *tally) testEnds(e event, p *packageOutput) {
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
		t.skips = append(t.skips, e.Package+" "+e.Test+reason(p.tests[e.Test]))
	case "fail":
		t.failed++
		t.print(p.tests[e.Test]...)
	default: // start, run, pause, cont
		return
	}
	delete(p.tests, e.Test)
}

func (t *tally) packageEnds(e event, p *packageOutput) {
	switch e.Action {
	case "pass", "skip":
		for _, line := range p.own {
			if !strings.HasPrefix(line, "PASS\n") && !strings.HasPrefix(line, "-test.shuffle ") {
				t.print(line)
			}
		}
	case "fail":
		t.broken++
		for _, test := range p.order { // those that a panic or a timeout cut short
			t.print(p.tests[test]...)
		}
		t.print(p.own...)
	default:
		return
	}
	delete(t.held, e.Package)
}

// place is where testing says a message came from.
var place = regexp.MustCompile(`^[^ ]+\.go:[0-9]+: ?`)

// reason finds what a test said to t.Skip: all lines from the last place on,
// without rules and headings.
func reason(lines []string) string {
	var said []string
	for _, line := range lines {
		s := strings.TrimSpace(line)
		if strings.HasPrefix(s, "---") || strings.HasPrefix(s, "===") {
			continue
		}
		if where := place.FindString(s); where != "" {
			said = said[:0]
			s = s[len(where):]
		}
		if strings.ContainsFunc(s, unicode.IsLetter) {
			said = append(said, s)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return ": " + strings.Join(said, " ")
}

func (t *tally) print(lines ...string) {
	for _, line := range lines {
		fmt.Fprint(t.w, line)
	}
}

// good tells whether tests ran and none failed.
func (t *tally) good() bool {
	return t.passed > 0 && t.failed == 0 && t.broken == 0 && len(t.held) == 0
}

// summary prints the skipped tests and the counts.
func (t *tally) summary() {
	for _, s := range t.skips {
		fmt.Fprintln(t.w, "skipped:", s)
	}
	for name := range t.held {
		fmt.Fprintln(t.w, "did not end:", name)
	}
	if t.broken > 0 {
		fmt.Fprintln(t.w, "packages that failed:", t.broken)
	}
	fmt.Fprintf(t.w, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
}
