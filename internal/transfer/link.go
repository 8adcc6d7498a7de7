package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// A symbolic link is kept only if both ends want that, and only with a target that stays in the tree it is sent in: a
// relative path that leads up, if at all, at its beginning, and not out of the topmost directory sent. Every directory on
// the way to a link is a real one, so that up is where it seems to be, and all links together lead nowhere else either.

const entryLink = 0xfe // Kind of a symbolic link; not on the wire, where it has a frame of its own

// linkBody (frameLink) is a symbolic link in the directory that is open.
type linkBody struct {
	ID     uint64 `cbor:"1,keyasint"`
	Name   string `cbor:"2,keyasint"`
	Target string `cbor:"3,keyasint"`
}

func (b *linkBody) check() error {
	if len(b.Target) > maxPath {
		return errors.New("a target that is too long")
	}
	return nil
}

// linkFault says why a link in a directory (its path below the destination) may not have a target, or "" if it may.
func linkFault(dir, target string) string {
	depth := 0 // directories above the link, the topmost sent not counted
	if dir != "" {
		depth = strings.Count(dir, "/")
	}
	parts := strings.Split(target, "/")
	up := 0
	for up < len(parts) && parts[up] == ".." {
		up++
	}
	switch {
	case len(target) > maxPath:
		return fmt.Sprintf("its target is longer than %d bytes", maxPath)
	case strings.HasPrefix(target, "/"):
		return "its target is an absolute path"
	case up > depth:
		return "its target is outside of what is sent"
	}
	for _, c := range parts[up:] {
		if c == ".." {
			return "its target leads up behind its beginning"
		}
		if fault := nameFault(c); fault != "" && c != "." {
			return "its target cannot be sent: " + fault
		}
	}
	return ""
}

// link takes a symbolic link off the connection.
func (in *intake) link(raw []byte) error {
	var b linkBody
	if err := parseBody(frameLink, raw, &b); err != nil {
		return err
	}
	if !in.r.terms.links {
		return damaged("symbolic link that was not agreed on")
	}
	e := &inbound{target: b.Target}
	e.ID, e.Kind, e.Name = b.ID, entryLink, b.Name
	if err := in.place(e); err != nil {
		return err
	}
	if fault := linkFault(e.dir, e.target); fault != "" {
		return refused(e.path, e.path, "the symbolic link is not allowed: "+fault, "leave it out at the sender")
	}
	if err := in.number(e); err != nil {
		return err
	}
	return in.r.commit(e)
}

// link makes a symbolic link, or finds it made.
func (s *fileSink) link(e *inbound) (err error) {
	if err := s.st.resolve(joinPath(e.dir, e.target)); !staysInside(err) {
		return refused(s.where(e), e.path, "the symbolic link is not allowed: its target leads out of the destination: "+reason(err),
			"leave it out at the sender, or move away the link here that leads there")
	}
	d, err := s.st.folder(e.dir)
	if err != nil {
		return s.r.fault("make symbolic link", e, err)
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := s.alone(e, e.Name, func() error { return s.linkIn(d, e) }); err != nil {
		return s.r.fault("make symbolic link", e, err)
	}
	return nil
}

// staysInside tells whether the answer of store.resolve is that of a path in the destination, whether it leads to
// something or not.
func staysInside(err error) bool {
	return err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

func (s *fileSink) linkIn(d folder, e *inbound) error {
	info, err := d.lookup(e.Name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = d.symlink(e.target, e.Name); errors.Is(err, fs.ErrExist) {
			return errTaken
		}
		return err
	}
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		if target, err := d.readlink(e.Name); err == nil && target == e.target {
			return nil
		}
	}
	if err := mayPublish(d, e.Name, s.r.o.Overwrite); err != nil {
		return err
	}
	temp := partName(e.Name)
	if err := s.tidy(e.path); err != nil {
		return err
	}
	if err := d.symlink(e.target, temp); err != nil {
		return err
	}
	if err := d.publish(temp, e.Name, true); err != nil {
		return errors.Join(err, d.remove(temp))
	}
	return nil
}

// realDir makes sure that a directory that was there is not a symbolic link to one, where links are kept.
func (s *fileSink) realDir(e *inbound) (err error) {
	d, err := s.st.folder(e.dir)
	if err != nil {
		return s.r.fault("look at", e, err)
	}
	defer func() { err = errors.Join(err, d.close()) }()
	info, err := d.lookup(e.Name)
	if err != nil {
		return s.r.fault("look at", e, err)
	}
	if !info.IsDir() {
		return refused(s.where(e), e.path, "a symbolic link stands in the directory's place",
			"move it away, or receive without --links")
	}
	return nil
}
