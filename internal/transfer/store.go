package transfer

import (
	"io"
	"io/fs"
	"time"
)

// store is the tree that a receiver writes to. Everything goes through it, so that nothing outside can be named, and
// so that tests can make it fail. Paths are relative and slash-separated; "" is the destination itself. Its methods may
// be called from several goroutines.
type store interface {
	// folder opens a directory. The handle stays on that directory, whatever happens to its name.
	folder(dir string) (folder, error)
	// mkdir makes a directory; made is false when there is one already.
	mkdir(dir string, perm fs.FileMode) (made bool, err error)
	// setDir gives a directory its permission bits and time; a zero time leaves that alone.
	setDir(dir string, perm fs.FileMode, mtime time.Time) error
	// resolve follows a path, and every link on it, to its end. The error is fs.ErrNotExist, ENOTDIR or ELOOP where it ends
	// before that inside, and another where it leads out.
	resolve(path string) error
	// free is the room left, in bytes; ok is false when the system does not say.
	free() (n int64, ok bool)
	// syncAll makes everything written so far to the folders that say covered() durable, in one go. ok is false when
	// the system cannot do it or would not report a failure.
	syncAll() (ok bool, err error)
	close() error
}

// folder is a handle on one directory. Names are single components.
type folder interface {
	// lookup describes a name without following it.
	lookup(name string) (fs.FileInfo, error)
	// create opens a part file or journal, for this process alone: errBusy if another one is writing it. What an
	// earlier, dead one left is taken over, with the size bytes that it has.
	create(part string) (file partFile, size int64, err error)
	// open opens a plain file that is there, to be read and synced. It follows no link.
	open(name string) (partFile, error)
	// publish gives a part file its final name. Without replace it fails with fs.ErrExist if that is taken.
	publish(part, name string, replace bool) error
	remove(name string) error
	// symlink makes a symbolic link. It fails with fs.ErrExist if the name is taken. readlink gives its target.
	symlink(target, name string) error
	readlink(name string) (string, error)
	// setTime sets a modification time.
	setTime(name string, mtime time.Time) error
	// there is an error if the directory's path does not lead to it any more.
	there() error
	// covered tells whether syncAll reaches this directory.
	covered() bool
	// sync makes the names in the directory durable.
	sync() error
	close() error
}

// partFile is a file being received, or its journal, or one that was there before.
type partFile interface {
	io.WriterAt
	io.ReaderAt
	chmod(perm fs.FileMode) error
	truncate(size int64) error
	datasync() error // content and size
	sync() error     // and the rest
	io.Closer
}
