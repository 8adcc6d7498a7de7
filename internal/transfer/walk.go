package transfer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// walker goes through what is to be sent in the order in which it is sent: a directory, what is in it, its end. It holds
// no more of a directory than a batch of names.
type walker struct {
	o     *SendOptions
	stop  <-chan struct{}
	say   func(line string)       // told of what is passed over; may be nil
	visit func(e *outbound) error // gets each directory, directory's end, file, stream and symbolic link
	keep  string                  // why symbolic links are not sent; "" if they are

	out   globs
	below int         // length of what comes before a path below the named argument
	open  []*outbound // directories of listed paths that are open, outermost first
}

func (w *walker) walk(sources []source) error {
	out, err := parseGlobs(w.o.Exclude)
	if err != nil {
		return err
	}
	w.out = out
	for _, src := range sources {
		if err := w.source(src); err != nil {
			return err
		}
	}
	return w.within("", nil)
}

func (w *walker) source(src source) error {
	if src.stream {
		e := &outbound{path: "-", from: "-"}
		e.Kind, e.Size = entryStream, -1
		return w.visit(e)
	}
	if src.name == "" {
		return w.holds(src.from, "", 1)
	}
	dirs := strings.Split(src.name, "/")
	name := dirs[len(dirs)-1]
	dirs = dirs[:len(dirs)-1]
	w.below = len(src.name) + 1
	dir := strings.Join(dirs, "/")
	if src.listed {
		w.below = 0
		if w.passOver(src.from, dir, name, src.info.Mode().Type()) {
			return nil
		}
	}
	if err := w.within(src.base, dirs); err != nil {
		return err
	}
	return w.one(src.from, dir, name, src.info, len(dirs)+1)
}

// within opens and closes directories so that those named are open, and no others.
func (w *walker) within(base string, dirs []string) error {
	same := 0
	for same < min(len(w.open), len(dirs)) && w.open[same].Name == dirs[same] {
		same++
	}
	for n := len(w.open); n > same; n-- {
		if err := w.leave(w.open[n-1]); err != nil {
			return err
		}
		w.open = w.open[:n-1]
	}
	for i := same; i < len(dirs); i++ {
		dir := strings.Join(dirs[:i], "/")
		from := filepath.Join(base, filepath.FromSlash(dir), dirs[i])
		info, err := os.Stat(from)
		if err != nil {
			return localIO("look at", from, joinPath(dir, dirs[i]), err)
		}
		e, err := w.enter(from, dir, dirs[i], info, i+1)
		if err != nil {
			return err
		}
		w.open = append(w.open, e)
	}
	return nil
}

// one visits a thing and all that is in it, or says why not. dir and name are its place there, depth the number of
// directories it would be, or is in.
func (w *walker) one(from, dir, name string, info fs.FileInfo, depth int) error {
	if !info.IsDir() {
		e := newOutbound(entryFile, from, dir, name, info)
		if len(e.path) > maxPath {
			return refused(from, e.path, "its path is too long", "send a part of the tree")
		}
		if info.Mode().Type() == fs.ModeSymlink {
			return w.link(e, dir)
		}
		return w.visit(e)
	}
	e, err := w.enter(from, dir, name, info, depth)
	if err != nil {
		return err
	}
	if err := w.holds(from, e.path, depth+1); err != nil {
		return err
	}
	return w.leave(e)
}

// newOutbound is a thing as a walk comes to it.
func newOutbound(kind uint8, from, dir, name string, info fs.FileInfo) *outbound {
	e := &outbound{path: joinPath(dir, name), from: from, info: info}
	e.Kind, e.Name = kind, name
	if kind == entryFile {
		e.Size = info.Size()
	}
	return e
}

// link visits a symbolic link.
func (w *walker) link(e *outbound, dir string) error {
	target, err := os.Readlink(e.from)
	if err != nil {
		return localIO("read symbolic link", e.from, e.path, err)
	}
	e.Kind, e.Size, e.target = entryLink, 0, filepath.ToSlash(target)
	if fault := linkFault(dir, e.target); fault != "" {
		return e.changedError() // it was another a moment ago
	}
	return w.visit(e)
}

func (w *walker) enter(from, dir, name string, info fs.FileInfo, depth int) (*outbound, error) {
	e := newOutbound(entryDir, from, dir, name, info)
	if len(e.path) > maxPath || depth > maxDepth {
		return nil, refused(from, e.path, "it is too deep a tree", "send a part of it")
	}
	return e, w.visit(e)
}

func (w *walker) leave(dir *outbound) error {
	e := &outbound{path: dir.path}
	e.Kind = entryLeave
	return w.visit(e)
}

// holds visits all that is in a directory.
func (w *walker) holds(from, path string, depth int) error {
	err := eachIn(from, func(de fs.DirEntry) error {
		select {
		case <-w.stop:
			return errOver
		default:
			return w.child(from, path, de, depth)
		}
	})
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return localIO("read directory", from, path, err)
}

// child visits one thing in a directory, or says why not.
func (w *walker) child(in, dir string, de fs.DirEntry, depth int) error {
	from, name := filepath.Join(in, de.Name()), de.Name()
	if w.out.match(joinPath(dir, name)[w.below:], name, de.IsDir()) {
		return nil
	}
	if w.passOver(from, dir, name, de.Type()) {
		return nil
	}
	if fault := nameFault(name); fault != "" {
		return refused(from, "", "its name cannot be sent: "+fault, "give it another name, or leave it out")
	}
	info, err := de.Info()
	if err != nil {
		return localIO("look at", from, joinPath(dir, name), err)
	}
	return w.one(from, dir, name, info, depth)
}

// passOver tells whether a thing in a tree is none to send, and says so.
func (w *walker) passOver(from, dir, name string, t fs.FileMode) bool {
	var why string
	switch {
	case t == fs.ModeSymlink:
		if why = w.keep; why != "" {
			break
		}
		target, err := os.Readlink(from)
		if err != nil {
			return false // sending it will say what is wrong
		}
		if why = linkFault(dir, filepath.ToSlash(target)); why == "" {
			return false
		}
	case !t.IsRegular() && !t.IsDir():
		why = "it is neither a file nor a directory"
	case reserved(name):
		why = "an unfinished transfer of udtcp's own"
	default:
		return false
	}
	if w.say != nil {
		w.say("skipped " + Quote(from) + ": " + why)
	}
	return true
}

// dirBatch is how many names of a directory are in memory at a time. Within it they are sorted.
const dirBatch = 4096

// eachIn calls f for everything in a directory.
func eachIn(dir string, f func(fs.DirEntry) error) error {
	d, err := openSource(dir)
	if err != nil {
		return err
	}
	defer d.Close() // read only
	for {
		batch, err := d.ReadDir(dirBatch)
		slices.SortFunc(batch, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		for _, de := range batch {
			if err := f(de); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// totals is what a whole transfer comes to.
type totals struct{ files, bytes int64 }

// add counts what a walk visits.
func (t *totals) add(e *outbound) {
	switch e.Kind {
	case entryStream:
		t.files, t.bytes = 1, -1
	case entryFile:
		t.files++
		t.bytes += e.Size
	}
}

// linksNotWanted is the reason for walker.keep that this end's user has, if any.
func linksNotWanted(wanted bool) string {
	if wanted {
		return ""
	}
	return "symbolic links are copied only with --links"
}

// Plan goes through what Send would send, without a connection and without opening files: OnFile is told of each file,
// without its digest, and OnMessage of what is passed over. The error is that with which Send would end before long.
func Plan(o SendOptions, stop <-chan struct{}) (Result, error) {
	sources, err := listSources(o)
	if err != nil {
		return Result{}, err
	}
	told := notes{onFile: o.OnFile, onMessage: o.OnMessage}
	var t totals
	w := &walker{o: &o, stop: stop, say: told.message, keep: linksNotWanted(o.Links), visit: func(e *outbound) error {
		t.add(e)
		if e.Kind == entryFile {
			told.file(FileDone{Name: e.path, Size: e.Size})
		}
		return nil
	}}
	err = w.walk(sources)
	return Result{Files: int(t.files), Bytes: t.bytes}, err
}
