package transfer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// source is one thing to send, as named by the user.
type source struct {
	base   string // directory here that the directories of a listed name are in
	from   string // path here; links in it are resolved: what the user names may be a link
	name   string // what it is to be called there; a listed one is a path; "" is all that base holds, without base itself
	listed bool
	info   fs.FileInfo
	stream bool
}

// CheckSources is the part of Send that needs no connection: every path exists, can be read, has a name fit to be
// sent and not the same as another's. Call it before dialling.
func CheckSources(o SendOptions) error {
	_, err := listSources(o)
	return err
}

// listSources finds what o names, without what its patterns leave out.
func listSources(o SendOptions) ([]source, error) {
	if _, err := checkDigest(o.Digest); err != nil {
		return nil, err
	}
	out, err := parseGlobs(o.Exclude)
	if err != nil {
		return nil, err
	}
	if o.Listed != nil {
		return listedSources(o, out)
	}
	if len(o.Paths) == 0 {
		return nil, usage("there is nothing to send", "name a file, a directory, or - for standard input")
	}
	var list []source
	seen := make(map[string]string)
	for _, path := range o.Paths {
		if path == "-" {
			if len(o.Paths) > 1 {
				return nil, usage("standard input cannot be sent together with files", "send - alone")
			}
			if o.Stdin == nil {
				return nil, usage("there is no standard input", "name a file")
			}
			return []source{{name: "-", stream: true}}, nil
		}
		s, err := findSource(path)
		if err != nil {
			return nil, err
		}
		if out.match("", s.name, s.info.IsDir()) {
			continue
		}
		if fault := nameFault(s.name); fault != "" {
			return nil, refused(path, s.name, "its name cannot be sent: "+fault, "give it another name")
		}
		if other, ok := seen[s.name]; ok {
			return nil, usage(Quote(path)+" and "+Quote(other)+" would have the same name", "send them one after the other, to different places")
		}
		seen[s.name] = path
		list = append(list, s)
	}
	return list, nil
}

// findSource looks at one path and makes sure that it can be read.
func findSource(path string) (source, error) {
	s := source{}
	from, err := filepath.EvalSymlinks(path)
	if err != nil {
		return s, localIO("send", path, "", err)
	}
	s.from = from
	s.name = filepath.Base(path)
	if s.name == "." || s.name == ".." {
		full, err := filepath.Abs(from)
		if err != nil {
			return s, localIO("send", path, "", err)
		}
		s.name = filepath.Base(full)
	}
	if s.info, err = os.Stat(from); err != nil {
		return s, localIO("send", path, "", err)
	}
	if !s.info.IsDir() && !s.info.Mode().IsRegular() {
		return s, refused(path, "", "it is neither a file nor a directory", "send what it gives through standard input: udtcp send HOST - < PATH")
	}
	f, err := openSource(from)
	if err != nil {
		return s, localIO("open", path, s.name, err)
	}
	if s.info.IsDir() {
		_, err = f.ReadDir(1)
	} else {
		_, err = f.Read(make([]byte, 1))
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return s, localIO("read", path, s.name, err)
	}
	return s, nil
}

// openSource opens a file or directory to be read, never to be waited for and never through a link.
func openSource(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|openFlags, 0)
}

// outbound is an entry on its way out.
type outbound struct {
	entryBody
	path   string      // relative path there; "-" if it is a stream
	from   string      // path here
	target string      // of a symbolic link
	info   fs.FileInfo // as the walk found it; of a file, from its opening on, as it was then
	end    fileEndBody // of a file or stream: the sealer fills it in
	digest *fileDigest // the sealer's own
	gap    *gap        // likewise: not closed yet
	unsent int64       // bytes that were not sent; set before the end is
	sent   sentState
	begun  bool    // an earlier attempt may have left something of it
	answer *answer // of a file of several chunks
}

// changed tells whether a file is not what it was when it was opened: the open file f, or what its path leads to now.
func (e *outbound) changed(f *os.File) (bool, error) {
	now, err := f.Stat()
	if err != nil {
		return false, err
	}
	if now.Size() != e.info.Size() || !now.ModTime().Equal(e.info.ModTime()) || !os.SameFile(now, e.info) {
		return true, nil
	}
	named, err := os.Lstat(e.from)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return !os.SameFile(named, now), nil
}

// intact makes sure that the open file f has not changed.
func (e *outbound) intact(f *os.File) error {
	changed, err := e.changed(f)
	if err != nil {
		return localIO("look at", e.from, e.path, err)
	}
	if changed {
		return e.changedError()
	}
	return nil
}

// unchanged makes sure, after the last byte was read, that nobody wrote meanwhile and that there is no more.
func (e *outbound) unchanged(f *os.File) error {
	n, err := f.ReadAt(make([]byte, 1), e.Size)
	if n > 0 {
		return e.changedError()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return localIO("read", e.from, e.path, err)
	}
	return e.intact(f)
}

// changedError is the one for both ends to give.
func (e *outbound) changedError() *Error {
	return &Error{
		Kind: KindIntegrity, Op: "send", Path: e.from, name: e.path, Msg: "the file changed while it was sent",
		Hint: "run it again once nothing writes to it, or send a snapshot",
	}
}
