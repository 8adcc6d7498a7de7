package cli

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// quote makes a string of the peer's fit to be shown: in double quotes, with control, bidirectional and other
// unprintable characters escaped.
func quote(s string) string { return strconv.Quote(s) }

// printable escapes what must not reach a terminal raw in a line whose strings were quoted already. It is the second
// lock on the door: whatever error text comes up from below passes through here.
func printable(s string) string {
	clean := true
	for i, r := range s {
		if !strconv.IsPrint(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if strconv.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(s[i : i+n])
		} else {
			q := strconv.Quote(s[i : i+n])
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

// shorten cuts s to at most n runes, from the left: the end of a path tells more than its beginning.
func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return "…" + string(r[len(r)-n+1:])
}

// ANSI colours, used only where wantColor said so.
const (
	ansiRed    = "\x1b[1;31m"
	ansiYellow = "\x1b[33m"
	ansiReset  = "\x1b[0m"
)

// colorValue is the value of --color.
type colorValue string

func (c *colorValue) String() string { return string(*c) }
func (c *colorValue) Type() string   { return "WHEN" }
func (c *colorValue) Set(s string) error {
	switch s {
	case "auto", "always", "never":
		*c = colorValue(s)
		return nil
	}
	return fmt.Errorf("want auto, always or never")
}

// dumb says whether the terminal cannot move its cursor.
func (e Env) dumb() bool {
	t, _ := e.LookupEnv("TERM")
	return t == "dumb"
}

// wantColor decides on colours on standard error. NO_COLOR counts when it is set and not empty.
func (e Env) wantColor(c colorValue) bool {
	switch c {
	case "always":
		return true
	case "never":
		return false
	}
	if v, ok := e.LookupEnv("NO_COLOR"); ok && v != "" {
		return false
	}
	return e.StderrTerminal && !e.dumb()
}
