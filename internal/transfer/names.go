package transfer

import (
	"encoding/hex"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName  = 255  // bytes of one component, what file systems take
	maxPath  = 4096 // bytes of a relative path
	maxDepth = 255  // directories below the destination

	partSuffix    = ".udtcp-part"
	journalSuffix = ".udtcp-journal"
)

// nameFault says why a component of a peer's path is refused, or "" when it may be used. The rule is the same at both
// ends, so that the sender can say beforehand what the receiver will refuse.
func nameFault(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case name == "." || name == "..":
		return "it names a directory by its place"
	case len(name) > maxName:
		return "it is longer than 255 bytes"
	case !utf8.ValidString(name):
		return "it is not valid UTF-8"
	case strings.Contains(name, "/"):
		return "it has a slash in it"
	case reserved(name):
		return "udtcp keeps such names for itself"
	case !filepath.IsLocal(name) || strings.ContainsRune(name, filepath.Separator):
		return "this system gives it a meaning of its own"
	}
	for _, r := range name {
		if !printable(r) {
			return "it has a control, bidirectional or other unprintable character"
		}
	}
	return ""
}

// printable tells whether a character may stand in a name. Spaces of all widths are fine (screen shots have them); of the
// invisible format characters only the joiners, which Persian, Indic scripts and emoji need.
func printable(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	return unicode.IsGraphic(r) || r == zeroWidthNonJoiner || r == zeroWidthJoiner
}

// reserved tells whether a name is one that udtcp makes beside a destination.
func reserved(name string) bool {
	return strings.HasPrefix(name, ".") && (strings.HasSuffix(name, partSuffix) || strings.HasSuffix(name, journalSuffix))
}

// partName is the temporary name beside name: ".NAME.udtcp-part", or, where that would be too long, the beginning of
// NAME and a digest of all of it. journalName is that of the journal.
func partName(name string) string    { return besideName(name, partSuffix) }
func journalName(name string) string { return besideName(name, journalSuffix) }

func besideName(name, suffix string) string {
	if n := "." + name + suffix; len(n) <= maxName {
		return n
	}
	sum := blake3Of([]byte(name))
	tag := "~" + hex.EncodeToString(sum[:8])
	cut := maxName - len(".") - len(tag) - len(suffix)
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return "." + name[:cut] + tag + suffix
}
