package transfer

import (
	"errors"
	"path"
	"slices"
	"strings"
)

// globs are the patterns of what is left out. Within one component of a path they are those of package path ([!a] is
// [^a] as well); a component ** stands for any number of components, at a pattern's end for one at least.
//
//   - A pattern without a slash is held against the last component, at any depth.
//   - One with a slash is held against the whole path below the named argument; a slash at its beginning changes nothing.
//   - One that ends in a slash leaves out directories only.
type globs []glob

type glob struct {
	parts    []string
	anywhere bool // held against the last component alone
	dirs     bool // directories only
}

// parseGlobs reads patterns, and finds those that are none.
func parseGlobs(patterns []string) (globs, error) {
	list := make(globs, 0, len(patterns))
	for _, p := range patterns {
		var g glob
		rest, dirs := strings.CutSuffix(p, "/")
		g.dirs = dirs
		g.anywhere = !strings.Contains(rest, "/")
		g.parts = strings.Split(strings.TrimPrefix(rest, "/"), "/")
		for i, part := range g.parts {
			g.parts[i] = negated(part)
			if _, err := path.Match(g.parts[i], ""); err != nil || part == "" {
				return nil, usage("the pattern "+Quote(p)+" cannot be read", `write it as for a shell: '*.o', 'cache/', 'build/**/*.tmp'`)
			}
		}
		list = append(list, g)
	}
	return list, nil
}

// negated writes [!a] as package path has it.
func negated(part string) string {
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		switch {
		case part[i] == '\\' && i+1 < len(part):
			b.WriteByte(part[i])
			i++
		case strings.HasPrefix(part[i:], "[!"):
			b.WriteByte('[')
			i++
			b.WriteByte('^')
			continue
		}
		b.WriteByte(part[i])
	}
	return b.String()
}

// match tells whether something is left out. rel is its path below the named argument, "" for the argument itself, whose
// name is name.
func (g globs) match(rel, name string, dir bool) bool {
	return slices.ContainsFunc(g, func(p glob) bool {
		switch {
		case p.dirs && !dir:
			return false
		case p.anywhere:
			return p.parts[0] == "**" || matchPart(p.parts[0], name)
		}
		return rel != "" && matchParts(p.parts, strings.Split(rel, "/"))
	})
}

// matchAny is match for a path or any of the directories it is in.
func (g globs) matchAny(rel string, dir bool) bool {
	for i, c := range rel {
		if c == '/' && g.match(rel[:i], path.Base(rel[:i]), true) {
			return true
		}
	}
	return g.match(rel, path.Base(rel), dir)
}

func matchParts(pattern, parts []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			if len(pattern) == 1 {
				return len(parts) > 0
			}
			for i := range parts {
				if matchParts(pattern[1:], parts[i:]) {
					return true
				}
			}
			return false
		}
		if len(parts) == 0 || !matchPart(pattern[0], parts[0]) {
			return false
		}
		pattern, parts = pattern[1:], parts[1:]
	}
	return len(parts) == 0
}

// matchPart is path.Match for a pattern that is known to be one.
func matchPart(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && !errors.Is(err, path.ErrBadPattern)
}
