package transfer

import (
	"path"
	"testing"
)

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern, rel string
		dir, want    bool
	}{
		{"*.o", "a.o", false, true},
		{"*.o", "src/deep/a.o", false, true},
		{"*.o", "a.c", false, false},
		{"*.o", "a.o", true, true},
		{"a?c", "x/abc", false, true},
		{"[ab]*", "x/bc", false, true},
		{"[!ab]*", "x/bc", false, false},
		{"[!ab]*", "x/cc", false, true},
		{"[^ab]*", "x/cc", false, true},
		{`\[!ab]`, "[!ab]", false, true},
		{`\*`, "x/*", false, true},
		{`\*`, "x/a", false, false},
		{"cache/", "x/cache", true, true},
		{"cache/", "x/cache", false, false},
		{"x/*.o", "x/a.o", false, true},
		{"/x/*.o", "x/a.o", false, true},
		{"x/*.o", "y/x/a.o", false, false},
		{"x/*.o", "x/y/a.o", false, false},
		{"/a.o", "a.o", false, true},
		{"/a.o", "x/a.o", false, false},
		{"x/**", "x", true, false},
		{"x/**", "x/a", false, true},
		{"x/**", "x/y/a", false, true},
		{"**/a", "a", false, true},
		{"**/a", "x/y/a", false, true},
		{"x/**/a", "x/a", false, true},
		{"x/**/a", "x/y/z/a", false, true},
		{"x/**/a", "y/a", false, false},
		{"x/**/y/**/a", "x/1/y/2/3/a", false, true},
		{"x/y/", "x/y", true, true},
		{"x/y/", "x/y", false, false},
		{"**", "a", false, true},
		{"-rf", "-rf", false, true},
		{"ü*", "x/über", false, true},
	} {
		g, err := parseGlobs([]string{"never", c.pattern})
		if err != nil {
			t.Fatal(err)
		}
		if got := g.match(c.rel, path.Base(c.rel), c.dir); got != c.want {
			t.Errorf("%q and %q (directory: %v): %v", c.pattern, c.rel, c.dir, got)
		}
	}
}

// What the user names is left out by its name alone, what is listed also by the directories it is in.
func TestGlobsOfNamed(t *testing.T) {
	g, err := parseGlobs([]string{"*.o", "x/y", "tmp/"})
	if err != nil {
		t.Fatal(err)
	}
	if !g.match("", "a.o", false) || g.match("", "y", false) {
		t.Error("a named argument")
	}
	for rel, want := range map[string]bool{"x/y/z/a": true, "x/a": false, "b/tmp/a": true, "b/tmp": false, "a.o/b": true} {
		if g.matchAny(rel, false) != want {
			t.Errorf("%q: %v", rel, !want)
		}
	}
}

func TestGlobsRefused(t *testing.T) {
	for _, p := range []string{"", "/", "[", "a//b", "x/[a", `a\`} {
		if _, err := parseGlobs([]string{p}); KindOf(err) != KindUsage {
			t.Errorf("%q: %v", p, err)
		}
	}
}
