package transfer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDiskStore does the same things, as a seed has them, to a disk in memory and to one of the system: both give the same
// answers and end up with the same files. What the crash tests find out about the one is then true of the other.
func TestDiskStore(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		real, err := openStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		d := newDisk()
		linked := seed%2 == 1
		real.linked.Store(linked)
		pair := &likeStores{rng: rng, stores: []store{real, &diskStore{disk: d, linked: linked}}}
		for range 300 {
			what, answers := pair.act()
			if answers[0] != answers[1] {
				t.Fatalf("seed %d: %s: the system says %q, the disk in memory %q", seed, what, answers[0], answers[1])
			}
		}
		if err := errors.Join(pair.closeAll(), real.close()); err != nil {
			t.Error(err)
		}
		// And the steps it remembers lead to what there is.
		r := recording{before: newDisk(), steps: d.steps}
		want := contents(t, os.DirFS(dir))
		for what, got := range map[string]fs.FS{"disk in memory": d, "steps of it": r.prefix(len(r.steps))} {
			if got := contents(t, got); !slices.Equal(got, want) {
				t.Errorf("seed %d: the system has\n%s\nthe %s\n%s", seed, strings.Join(want, "\n"), what, strings.Join(got, "\n"))
			}
		}
	}
}

// contents lists names, modes, times and bytes; of directories names alone.
func contents(t *testing.T, fsys fs.FS) (list []string) {
	t.Helper()
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			list = append(list, name)
			return err
		}
		if d.Type() == fs.ModeSymlink {
			target, err := fs.ReadLink(fsys, name)
			list = append(list, name+" -> "+target)
			return err
		}
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		when := "now"
		if err == nil && info.ModTime().Year() == likeTime.Year() {
			when = "then"
		}
		list = append(list, fmt.Sprintf("%s %v %s %d %x", name, info.Mode(), when, info.Size(), blake3Of(b)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var likeTime = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// likeStores are two stores that the same is done to.
type likeStores struct {
	rng    *rand.Rand
	stores []store
	parts  []likePart // open
}

type likePart struct {
	name  string
	files []partFile // one of each store
}

// act does one thing to both and gives their answers.
func (p *likeStores) act() (what string, answers [2]string) {
	pick := func(of ...string) string { return of[p.rng.IntN(len(of))] }
	dir := pick("", "", "a", "a/b", "c")
	name, part := pick("x", "y", "a"), pick(".x.udtcp-part", ".y.udtcp-part")
	number := p.rng.IntN(3)
	action := p.rng.IntN(10)
	if action >= 7 && len(p.parts) > 0 {
		return p.actOnPart(p.rng.IntN(len(p.parts)))
	}
	what = fmt.Sprintf("%d in %q: %q, %q, %d", action, dir, name, part, number)
	opened := likePart{name: dir + "/" + part}
	for i, s := range p.stores {
		answers[i] = inFolder(s, dir, func(f folder) (answer string, err error) {
			switch action {
			case 0:
				made, err := s.mkdir(pickDir(dir, number), 0o755)
				return fmt.Sprint(made), err
			case 1, 2:
				file, size, err := f.create(part)
				if err == nil {
					opened.files = append(opened.files, file)
				}
				return fmt.Sprint(size), err
			case 3:
				return "", f.publish(part, name, number == 0)
			case 4:
				return "", f.remove(part)
			case 5:
				return "", f.setTime(part, likeTime)
			case 6:
				const link = "link"
				switch number {
				case 0:
					return "", f.symlink("nowhere", link)
				case 1:
					return f.readlink(link)
				}
				return "", f.remove(link)
			}
			info, err := f.lookup(name)
			if err == nil && number > 0 {
				file, err := f.open(name)
				if err != nil {
					return "", err
				}
				b, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<20))
				return fmt.Sprintf("%d %x", len(b), blake3Of(b)), errors.Join(err, file.Close())
			}
			if err != nil {
				return "", err
			}
			if info.IsDir() {
				return "directory", f.sync()
			}
			return fmt.Sprint(info.Mode(), info.Size()), f.sync()
		})
	}
	if len(opened.files) == len(p.stores) {
		p.parts = append(p.parts, opened)
	}
	return what, answers
}

func pickDir(up string, number int) string {
	dir := string("abc"[number])
	if up != "" {
		dir = up + "/" + dir
	}
	return dir
}

// actOnPart does one thing to an open part file.
func (p *likeStores) actOnPart(i int) (what string, answers [2]string) {
	action, offset, content := p.rng.IntN(7), p.rng.Int64N(30_000), randomBytes(p.rng.Uint64(), p.rng.IntN(12_000))
	o := p.parts[i]
	what = fmt.Sprintf("part %s: %d, %d bytes at %d", o.name, action, len(content), offset)
	for k, f := range o.files {
		answers[k] = answerOf(func() (string, error) {
			switch action {
			case 0, 1:
				n, err := f.WriteAt(content, offset)
				return fmt.Sprint(n), err
			case 2:
				b := make([]byte, len(content))
				n, err := f.ReadAt(b, offset)
				return fmt.Sprintf("%d %x", n, blake3Of(b)), err
			case 3:
				return "", f.chmod(0o640)
			case 4:
				return "", errors.Join(f.datasync(), f.sync())
			case 5:
				return "", f.truncate(offset)
			}
			return "", f.Close()
		})
	}
	if action == 6 {
		p.parts = slices.Delete(p.parts, i, i+1)
	}
	return what, answers
}

func (p *likeStores) closeAll() error {
	var errs []error
	for _, o := range p.parts {
		for _, f := range o.files {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

func inFolder(s store, dir string, f func(folder) (string, error)) string {
	return answerOf(func() (string, error) {
		d, err := s.folder(dir)
		if err != nil {
			return "no folder", err
		}
		answer, err := f(d)
		return answer, errors.Join(err, d.close())
	})
}

// answerOf is an answer as text, with the error's reason alone.
func answerOf(f func() (string, error)) string {
	answer, err := f()
	switch {
	case err == nil:
		return answer
	case errors.Is(err, fs.ErrNotExist):
		return answer + " not there"
	case errors.Is(err, fs.ErrExist):
		return answer + " there already"
	case errors.Is(err, errBusy):
		return answer + " busy"
	}
	return answer + " fails"
}
