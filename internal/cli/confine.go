package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/udtcp/udtcp/internal/transfer"
)

// reach is what of the file system a receiver needs once it waits for its sender.
type reach struct {
	write []string // directories in which it makes and replaces files
	read  []string // what it reads; some of it may not exist
}

// alwaysRead is what the process itself reads at one time or another: how to resolve names when it dials again, the local
// time zone, its file mode mask.
var alwaysRead = []string{"/etc", "/proc", "/usr/share/zoneinfo"}

// reachOf is the reach of a receiver with that destination and, unless it is "", that directory of keys.
func reachOf(o transfer.RecvOptions, ring string) reach {
	r := reach{read: alwaysRead}
	if real, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil {
		r.read = append(r.read[:len(r.read):len(r.read)], filepath.Dir(real)) // often below /run
	}
	if ring != "" {
		r.read = append(r.read[:len(r.read):len(r.read)], standing(ring))
	}
	switch {
	case o.Dir != "":
		r.write = []string{standing(o.Dir)}
	case o.File != "":
		r.write = []string{filepath.Dir(filepath.Clean(o.File))}
	}
	return r
}

// standing is the directory itself, or the lowest one above it that exists: there it can be made.
func standing(dir string) string {
	dir = filepath.Clean(dir)
	for up := filepath.Dir(dir); up != dir; up = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = up
	}
	return dir
}

// confine takes the rest of the file system away from this process, where the system can do that.
func (a *app) confine(o transfer.RecvOptions) {
	if a.env.Confine == nil {
		return
	}
	ring, err := a.ring()
	if err != nil {
		ring = "" // there is nothing to read
	}
	switch err := a.env.Confine(reachOf(o, string(ring))); {
	case errors.Is(err, errors.ErrUnsupported):
		a.out.detail("this system has no Landlock: the receiver is not confined to its destination")
	case err != nil:
		a.out.detail("the receiver is not confined to its destination: %v", err)
	default:
		a.out.detail("confined to the destination by Landlock")
	}
}
