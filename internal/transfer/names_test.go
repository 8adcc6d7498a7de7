package transfer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var goodNames = []string{
	"a", "a b", ".hidden", "..a", "a..", "...", "-rf", "ü", "日本語", "e\u0301", "Screenshot at 9.41\u202fAM.png", "a\u00a0b",
	"👩\u200d💻.txt", "نامه\u200cای", "a\\b", "a:b", strings.Repeat("x", 255), strings.Repeat("é", 127), "x.udtcp-part", ".udtcp",
}

var badNames = []string{
	"", ".", "..", "/", "a/b", "/etc/passwd", "../x", "a\x00b", "a\nb", "a\rb", "\x1b[31mred", "a\tb", "\x7f", "\u0085",
	"\u202eexe.txt", "\u202a", "\u202b", "\u202c", "\u202d", "\u2066", "\u2067", "\u2068", "\u2069", "\u200e", "\u200f", "\u061c",
	"a\u2028b", "a\u2029b", "\ufeff", "\u00ad", "\u200b", "\U000e0041", "\ue000", "\xff", "a\xc3", "\xed\xa0\x80", "\ufffe",
	strings.Repeat("x", 256), ".x.udtcp-part", ".x.udtcp-journal", ".udtcp-part",
}

func TestNames(t *testing.T) {
	for _, n := range goodNames {
		if fault := nameFault(n); fault != "" {
			t.Errorf("%q is refused: %s", n, fault)
		}
	}
	for _, n := range badNames {
		if nameFault(n) == "" {
			t.Errorf("%q is allowed", n)
		}
	}
}

func TestPartName(t *testing.T) {
	seen := make(map[string]string)
	for _, n := range append(goodNames, strings.Repeat("x", 250), strings.Repeat("x", 249)+"y", strings.Repeat("é", 126)+"x") {
		p := partName(n)
		if !reserved(p) || len(p) > maxName || !utf8.ValidString(p) {
			t.Errorf("%q has the part name %q", n, p)
		}
		if other, ok := seen[p]; ok {
			t.Errorf("%q and %q have the same part name", n, other)
		}
		seen[p] = n
	}
	if partName("a") != ".a.udtcp-part" {
		t.Error(partName("a"))
	}
}

func FuzzNames(f *testing.F) {
	for _, n := range append(goodNames, badNames...) {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if q := Quote(name); !utf8.ValidString(q) || strings.ContainsFunc(q, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
			t.Fatalf("%q quoted is %q", name, q)
		}
		if p := plain(name); strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
			t.Fatalf("%q made plain is %q", name, p)
		}
		if nameFault(name) != "" {
			return
		}
		dir := t.TempDir()
		for _, n := range []string{name, partName(name)} {
			if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
				t.Fatalf("%q is allowed: %v", n, err)
			}
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 2 || nameFault(list[0].Name()) == "" && nameFault(list[1].Name()) == "" {
			t.Fatalf("%q made %v, %v", name, list, err)
		}
	})
}
