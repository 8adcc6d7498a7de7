package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// listedSources are the sources of o.Listed, ordered so that what is in one directory is together, and without what is in
// a directory that is listed itself.
func listedSources(o SendOptions, out globs) ([]source, error) {
	base := "."
	switch {
	case len(o.Paths) > 1 || len(o.Paths) == 1 && o.Paths[0] == "-":
		return nil, usage("with a list of files there is no more than one directory to find them in", "name one, or none for the current directory")
	case len(o.Paths) == 1:
		base = o.Paths[0]
		if info, err := os.Stat(base); err != nil {
			return nil, localIO("look at", base, "", err)
		} else if !info.IsDir() {
			return nil, usage(Quote(base)+" is no directory to find listed files in", "name a directory, or none for the current one")
		}
	}
	for _, p := range o.Listed {
		if fault := listFault(p, len(o.Paths) == 0); fault != "" {
			return nil, usage("the list has "+Quote(p)+": "+fault, "list paths below one directory, and name that, if it is not the current one, as PATH")
		}
	}
	var list []source
	covered := "" // the directory listed last; what is in it needs no place of its own
	for _, rel := range sortedPaths(o.Listed) {
		if covered != "" && strings.HasPrefix(rel, covered) {
			continue
		}
		s, err := listedSource(base, rel)
		if err != nil {
			return nil, err
		}
		if rel == "" { // it comes first and holds all the others
			return []source{s}, nil
		}
		if s.info.IsDir() {
			covered = rel + "/"
		}
		if !out.matchAny(rel, s.info.IsDir()) {
			list = append(list, s)
		}
	}
	return list, nil
}

// listFault says what is wrong with a listed path, or "". here tells that it is relative to the current directory; below
// another a slash at its beginning changes nothing.
func listFault(p string, here bool) string {
	switch {
	case p == "":
		return "it is empty"
	case here && filepath.IsAbs(p):
		return "it is absolute"
	case slices.Contains(strings.Split(filepath.ToSlash(p), "/"), ".."):
		return "it leads upwards"
	}
	return ""
}

// sortedPaths cleans paths and sorts them by their components, each once. "" is all there is.
func sortedPaths(paths []string) []string {
	list := make([]string, 0, len(paths))
	for _, p := range paths {
		list = append(list, strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(p)), "/"))
	}
	slices.SortFunc(list, comparePaths)
	return slices.Compact(list)
}

// comparePaths puts a directory before what is in it, and that before any other name.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

// listedSource looks at one listed path.
func listedSource(base, rel string) (source, error) {
	s := source{base: base, from: filepath.Join(base, filepath.FromSlash(rel)), name: rel, listed: true}
	if rel != "" {
		for c := range strings.SplitSeq(rel, "/") {
			if fault := nameFault(c); fault != "" {
				return s, refused(rel, "", "its name cannot be sent: "+fault, "give it another name, or leave it out of the list")
			}
		}
	}
	var err error
	if s.info, err = os.Lstat(s.from); err != nil {
		e := localIO("look at", s.from, rel, err)
		if errors.Is(err, fs.ErrNotExist) {
			e.Hint = "leave it out of the list, or name the directory that the list is relative to"
		}
		return s, e
	}
	return s, nil
}
