package transfer

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// disk is a file system in memory that remembers every change made to it, so that it can be worked out afterwards what a
// crash at any moment might have left (crash_test.go). Changes are steps small enough to survive or be lost on their own;
// the disk as it is now is what they make of the one at the beginning.
type disk struct {
	mu     sync.Mutex
	nodes  []*node // by number; the first is the root directory
	steps  []step  // since the beginning
	quiet  bool    // remember nothing
	locked map[int]bool
}

// blockSize is how much of a file's content is written in one piece, or not at all.
const blockSize = 4096

// node is a file, a directory or a symbolic link.
type node struct {
	names  map[string]int // of a directory: the number of what has that name
	target string         // of a symbolic link
	blocks [][]byte       // of a file: at most blockSize each, never changed in place; nil is a hole
	size   int64
	perm   fs.FileMode
	mtime  time.Time
}

// step is one change to one node, or a sync.
type step struct {
	kind   stepKind
	node   int
	name   string // that a directory gets (stepLink) or loses (stepUnlink, stepRename)
	to     string // that it gets instead (stepRename)
	child  int    // what the name is for
	block  int    // that is written to, from byte at on
	at     int
	data   []byte
	size   int64
	perm   fs.FileMode
	mtime  time.Time
	born   bool   // stepLink: child comes into being with it, with the bits perm
	dir    bool   // and is a directory
	target string // or a symbolic link
	first  bool   // of those that one call makes
}

type stepKind int

const (
	stepWrite    stepKind = iota // a block of a file
	stepSize                     // a file's size
	stepPerm                     // a node's permission bits
	stepTime                     // its modification time
	stepLink                     // a directory's new name
	stepUnlink                   // one that goes
	stepRename                   // both at once
	stepDatasync                 // fdatasync of a file: content and size
	stepSync                     // fsync of a file, or of a directory: its names
	stepSyncAll                  // syncfs
)

func newDisk() *disk {
	return &disk{nodes: []*node{{names: map[string]int{}, perm: 0o755}}, locked: map[int]bool{}}
}

// clone copies the disk as it is; it has no past. Blocks are shared.
func (d *disk) clone() *disk {
	c := &disk{locked: map[int]bool{}}
	for _, n := range d.nodes {
		m := *n
		m.names, m.blocks = maps.Clone(n.names), slices.Clone(n.blocks)
		c.nodes = append(c.nodes, &m)
	}
	return c
}

// do makes a change and remembers it.
func (d *disk) do(steps ...step) {
	for i, s := range steps {
		s.first = i == 0
		d.apply(s)
		if !d.quiet {
			d.steps = append(d.steps, s)
		}
	}
}

// apply makes a change.
func (d *disk) apply(s step) {
	n := d.nodes[s.node]
	switch s.kind {
	case stepWrite:
		n.write(s)
		n.mtime = time.Time{} // now
	case stepSize:
		n.resize(s.size)
		n.mtime = time.Time{}
	case stepPerm:
		n.perm = s.perm
	case stepTime:
		n.mtime = s.mtime
	case stepLink:
		n.names[s.name] = s.child
	case stepUnlink:
		if n.names[s.name] == s.child {
			delete(n.names, s.name)
		}
	case stepRename:
		if n.names[s.name] == s.child {
			delete(n.names, s.name)
		}
		n.names[s.to] = s.child
	}
}

func (n *node) write(s step) {
	for len(n.blocks) <= s.block {
		n.blocks = append(n.blocks, nil)
	}
	if s.at == 0 && len(s.data) >= len(n.blocks[s.block]) {
		n.blocks[s.block] = s.data
		return
	}
	old := n.blocks[s.block]
	b := make([]byte, max(len(old), s.at+len(s.data)))
	copy(b, old)
	copy(b[s.at:], s.data)
	n.blocks[s.block] = b
}

func (n *node) resize(size int64) {
	if size < n.size {
		whole, rest := int(size/blockSize), int(size%blockSize)
		if len(n.blocks) > whole {
			if rest > 0 && len(n.blocks[whole]) > rest {
				n.blocks[whole] = n.blocks[whole][:rest:rest]
				whole++
			} else if rest > 0 {
				whole++
			}
			n.blocks = n.blocks[:whole]
		}
	}
	n.size = size
}

// read is ReadAt.
func (n *node) read(b []byte, offset int64) (int, error) {
	if offset >= n.size {
		return 0, io.EOF
	}
	total := int(min(int64(len(b)), n.size-offset))
	for done := 0; done < total; {
		at := offset + int64(done)
		i, from := int(at/blockSize), int(at%blockSize)
		piece := b[done:min(done+blockSize-from, total)]
		clear(piece)
		if i < len(n.blocks) && from < len(n.blocks[i]) {
			copy(piece, n.blocks[i][from:])
		}
		done += len(piece)
	}
	if total < len(b) {
		return total, io.EOF
	}
	return total, nil
}

// writing is what writing b at an offset does.
func (d *disk) writing(number int, b []byte, offset int64) []step {
	var steps []step
	if end := offset + int64(len(b)); end > d.nodes[number].size {
		steps = append(steps, step{kind: stepSize, node: number, size: end})
	}
	b = bytes.Clone(b) // it is the caller's
	for len(b) > 0 {
		at := int(offset % blockSize)
		k := min(len(b), blockSize-at)
		steps = append(steps, step{kind: stepWrite, node: number, block: int(offset / blockSize), at: at, data: b[:k:k]})
		b, offset = b[k:], offset+int64(k)
	}
	return steps
}

// make is what a new node under a name does. The node itself is nothing without the name.
func (d *disk) make(dir int, name string, n *node) step {
	d.nodes = append(d.nodes, n)
	return step{
		kind: stepLink, node: dir, name: name, child: len(d.nodes) - 1,
		born: true, perm: n.perm, dir: n.names != nil, target: n.target,
	}
}

// find follows a path.
func (d *disk) find(name string) (int, error) {
	at := 0
	if name == "" || name == "." {
		return at, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		names := d.nodes[at].names
		if names == nil {
			return 0, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOTDIR}
		}
		next, ok := names[part]
		if !ok {
			return 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		at = next
	}
	return at, nil
}

// links is how many names a node has.
func (d *disk) links(number int) (n int) {
	for _, dir := range d.nodes {
		for _, child := range dir.names {
			if child == number {
				n++
			}
		}
	}
	return n
}

// put makes a file that is there from the beginning, with its directories.
func (d *disk) put(name string, content []byte) {
	number := d.place(name, &node{perm: 0o644})
	d.quiet = true
	defer func() { d.quiet = false }()
	d.do(d.writing(number, content, 0)...)
}

// place puts a node under a path, from the beginning.
func (d *disk) place(name string, n *node) (number int) {
	d.quiet = true
	defer func() { d.quiet = false }()
	at := 0
	for part := range strings.SplitSeq(path.Dir(name), "/") {
		if part == "." {
			break
		}
		next, ok := d.nodes[at].names[part]
		if !ok {
			s := d.make(at, part, &node{names: map[string]int{}, perm: 0o755})
			d.do(s)
			next = s.child
		}
		at = next
	}
	s := d.make(at, path.Base(name), n)
	d.do(s)
	return s.child
}

// Open makes a disk an fs.FS, to look at when nobody writes to it.
func (d *disk) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	number, err := d.find(name)
	if err != nil {
		return nil, err
	}
	info := nodeInfo{path.Base(name), d.nodes[number]}
	return &openNode{nodeInfo: info, disk: d, SectionReader: io.NewSectionReader(nodeReader{info.n}, 0, info.n.size)}, nil
}

// Lstat makes it an fs.ReadLinkFS.
func (d *disk) Lstat(name string) (fs.FileInfo, error) {
	number, err := d.find(name)
	if err != nil {
		return nil, err
	}
	return nodeInfo{path.Base(name), d.nodes[number]}, nil
}

// ReadLink is the other half of that.
func (d *disk) ReadLink(name string) (string, error) {
	number, err := d.find(name)
	if err == nil && d.nodes[number].target == "" {
		err = &fs.PathError{Op: "readlink", Path: name, Err: syscall.EINVAL}
	}
	if err != nil {
		return "", err
	}
	return d.nodes[number].target, nil
}

type nodeReader struct{ n *node }

func (r nodeReader) ReadAt(b []byte, offset int64) (int, error) { return r.n.read(b, offset) }

// nodeInfo is what Lstat says.
type nodeInfo struct {
	name string
	n    *node
}

func (i nodeInfo) Name() string       { return i.name }
func (i nodeInfo) Size() int64        { return i.n.size }
func (i nodeInfo) ModTime() time.Time { return i.n.mtime }
func (i nodeInfo) IsDir() bool        { return i.n.names != nil }
func (i nodeInfo) Sys() any           { return nil }
func (i nodeInfo) Mode() fs.FileMode {
	switch {
	case i.IsDir():
		return i.n.perm | fs.ModeDir
	case i.n.target != "":
		return i.n.perm | fs.ModeSymlink
	}
	return i.n.perm
}

// openNode is an fs.File, or fs.ReadDirFile.
type openNode struct {
	nodeInfo
	*io.SectionReader
	disk *disk
}

func (f *openNode) Stat() (fs.FileInfo, error) { return f.nodeInfo, nil }
func (f *openNode) Size() int64                { return f.nodeInfo.Size() }
func (f *openNode) Close() error               { return nil }

func (f *openNode) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 {
		return nil, errors.ErrUnsupported
	}
	var list []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(f.n.names)) {
		list = append(list, fs.FileInfoToDirEntry(nodeInfo{name, f.disk.nodes[f.n.names[name]]}))
	}
	return list, nil
}
