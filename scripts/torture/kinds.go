package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/udtcp/udtcp/internal/promise"
)

// kind is a transfer that is to be killed.
type kind struct {
	name   string
	path   string        // what is sent, below the kind's own directory of sources; "-" is a pipe
	send   []string      // more arguments of the sender
	both   []string      // and of both ends
	old    bool          // there is an older file in its place
	bytes  int64         // in all
	files  int           // names in all
	length time.Duration // of an undisturbed run
}

// bench is what cases share.
type bench struct {
	*options
	kinds []*kind
}

func (b *bench) sources(k *kind) string { return filepath.Join(b.work, "sources", k.name) }
func (b *bench) older(k *kind) string   { return filepath.Join(b.work, "older", k.name) }

// prepare makes the sources and measures how long each kind takes.
func (b *bench) prepare(ctx context.Context) error {
	const mib = 1 << 20
	b.kinds = []*kind{
		{name: "file", path: "data", send: []string{"--bwlimit", "60M"}},
		{name: "overwrite", path: "data", send: []string{"--bwlimit", "60M"}, old: true},
		{name: "tree", path: "top", send: []string{"--bwlimit", "20M"}, both: []string{"--links"}},
		{name: "pipe", path: "-", send: []string{"--bwlimit", "60M"}},
		// Slow enough for the receiver to make some of it durable on the way.
		{name: "slow file", path: "data", send: []string{"--bwlimit", "5M"}},
	}
	for i, k := range b.kinds {
		dir := b.sources(k)
		var err error
		switch k.name {
		case "tree":
			err = b.fill(k, filepath.Join(dir, "top", "large"), 3*mib, uint64(i))
			for n := range 400 {
				name := filepath.Join(dir, "top", fmt.Sprint("d", n%7), fmt.Sprint("e", n%3), fmt.Sprint("file ", n))
				err = errors.Join(err, b.fill(k, name, int64(n*37%8000), uint64(n)))
			}
			err = errors.Join(err, os.Symlink("large", filepath.Join(dir, "top", "link")), hole(filepath.Join(dir, "top", "large"), mib/2))
		default:
			err = b.fill(k, filepath.Join(dir, "data"), 16*mib+5, uint64(i))
		}
		if err == nil && k.old {
			err = b.fill(&kind{}, filepath.Join(b.older(k), "data"), 5*mib, 99)
		}
		if err != nil {
			return err
		}
		if k.length, err = b.undisturbed(ctx, k); err != nil {
			return fmt.Errorf("%s, undisturbed: %w", k.name, err)
		}
		fmt.Printf("%s: %d files, %d bytes, %v undisturbed\n", k.name, k.files, k.bytes, k.length.Round(time.Millisecond))
	}
	return nil
}

// fill makes a file of pseudo-random bytes.
func (b *bench) fill(k *kind, name string, size int64, seed uint64) error {
	k.bytes += size
	k.files++
	content := make([]byte, size)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	if _, err := rand.NewChaCha8(key).Read(content); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// hole gives a file a hole at its end.
func hole(name string, length int64) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return os.Truncate(name, info.Size()+length)
}

// place is a case's own directory.
type place struct {
	b   *bench
	k   *kind
	dir string
}

func (b *bench) place(k *kind, name string) (*place, error) {
	p := &place{b, k, filepath.Join(b.work, "cases", name)}
	if err := os.MkdirAll(p.destination(), 0o755); err != nil {
		return nil, err
	}
	if !k.old {
		return p, nil
	}
	return p, copyAs(filepath.Join(b.older(k), "data"), filepath.Join(p.destination(), "data"))
}

// copyAs copies a file with its time.
func copyAs(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(to, content, info.Mode().Perm()), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

func (p *place) destination() string { return filepath.Join(p.dir, "in") }

// output is the file that a pipe's receiver writes to.
func (p *place) output(run int) string { return filepath.Join(p.dir, fmt.Sprint("out", run)) }

// check holds what is there after a run against what is promised.
func (p *place) check(run, sender, receiver int) error {
	o := promise.Outcome{Sender: sender, Receiver: receiver, Attributes: true}
	if p.k.path == "-" {
		var err error
		if o.Input, err = os.ReadFile(filepath.Join(p.b.sources(p.k), "data")); err != nil {
			return err
		}
		if o.Output, err = os.ReadFile(p.output(run)); err != nil {
			return err
		}
		return promise.Check(o)
	}
	o.New, o.Now = os.DirFS(p.b.sources(p.k)), os.DirFS(p.destination())
	if p.k.old {
		o.Old = os.DirFS(p.b.older(p.k))
	}
	return promise.Check(o)
}

// journaled tells whether a journal says that bytes are durable: it is longer than one without chunks.
func (p *place) journaled() bool {
	const noChunks = 150
	for name := range names(os.DirFS(p.destination()), ".") {
		info, err := os.Stat(filepath.Join(p.destination(), name))
		if strings.HasSuffix(name, ".udtcp-journal") && err == nil && info.Size() > noChunks {
			return true
		}
	}
	return false
}

// count counts names that files have for good, and partial files. What comes and goes while it looks it may miss.
func (p *place) count() (named, partial int) {
	for name := range names(os.DirFS(p.destination()), ".") {
		switch {
		case strings.HasSuffix(name, ".udtcp-part"):
			partial++
		case !strings.HasSuffix(name, ".udtcp-journal"):
			named++
		}
	}
	return named, partial
}

// names gives all names of files below a directory.
func names(fsys fs.FS, dir string) iter.Seq[string] {
	return func(yield func(string) bool) {
		entries, _ := fs.ReadDir(fsys, dir) // what has gone has no names
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if !e.IsDir() {
				if !yield(name) {
					return
				}
				continue
			}
			for n := range names(fsys, name) {
				if !yield(n) {
					return
				}
			}
		}
	}
}
