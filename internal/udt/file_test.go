package udt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// fileOf makes a file with some content.
func fileOf(t *testing.T, content []byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return f
}

func contentOf(t *testing.T, f *os.File) []byte {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// standsAt checks the position of a file.
func standsAt(t *testing.T, f *os.File, want int64) {
	t.Helper()
	if at, err := f.Seek(0, io.SeekCurrent); err != nil || at != want {
		t.Errorf("the file stands at %d, want %d: %v", at, want, err)
	}
}

// Regions of a file arrive as regions of another, whatever the blocks, and
// nothing else of either changes.
func TestFileRegions(t *testing.T) {
	const size = 1 << 20
	content := noise(3, size)
	for _, c := range []struct {
		from, to, n  int64
		block, there int
	}{
		{0, 0, size, 0, 0},
		{1, 77, size - 1, 0, 0},
		{12345, 0, 54321, 0, 0},
		{size - 1, 5, 1, 0, 0},
		{100, 200, 300_000, 1000, 7777},
		{100, 200, 3000, 1, 1},
		{7, 9, 500_000, 364_000, 7_280_000},
		{5, 2 * size, 100, 0, 0}, // behind the end of what is there
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			client, server := loopback(t, nil)
			defer closeAll(t, client, server)
			src, dst := fileOf(t, content), fileOf(t, noise(4, size))
			want := contentOf(t, dst)
			want = append(want, make([]byte, max(0, int(c.to+c.n)-len(want)))...)
			copy(want[c.to:], content[c.from:c.from+c.n])
			moved := func(f func(*os.File, int64, int64, int) (int64, error), file *os.File, at int64, block int) error {
				n, err := f(file, at, c.n, block)
				if err == nil && n != c.n {
					err = fmt.Errorf("%d bytes, want %d", n, c.n)
				}
				return err
			}
			meanwhile(t,
				func() error { return moved(client.SendFile, src, c.from, c.block) },
				func() error { return moved(server.ReceiveFile, dst, c.to, c.there) },
			)
			if !bytes.Equal(contentOf(t, dst), want) {
				t.Error("the file has other bytes than it should")
			}
			standsAt(t, src, size)
			standsAt(t, dst, size)
		})
	}
}

// What is sent from a file is stream data like any other, and what comes can
// be taken in parts: by files, then by reads.
func TestFileCallsMixWithOthers(t *testing.T) {
	client, server := loopback(t, nil)
	defer closeAll(t, client, server)
	content := noise(5, 400_000)
	src, dst := fileOf(t, content), fileOf(t, nil)
	meanwhile(t,
		func() error {
			err := write(client, []byte("before"))
			for _, part := range [][2]int64{{0, 100_001}, {100_001, 299_999}} {
				_, serr := client.SendFile(src, part[0], part[1], 0)
				err = errors.Join(err, serr)
			}
			return errors.Join(err, write(client, []byte("after")))
		},
		func() error {
			err := wantBytes(server, []byte("before"))
			for _, part := range [][2]int64{{0, 3}, {3, 0}, {3, 199_997}} {
				_, rerr := server.ReceiveFile(dst, part[0], part[1], 0)
				err = errors.Join(err, rerr)
			}
			return errors.Join(err, wantBytes(server, content[200_000:]), wantBytes(server, []byte("after")))
		},
	)
	if !bytes.Equal(contentOf(t, dst), content[:200_000]) {
		t.Error("the file has other bytes than it should")
	}
}

// Systems without preadv take the plain way; so do we when told to.
func TestFileRegionWithoutVectors(t *testing.T) {
	content := noise(6, 300_000)
	f := fileOf(t, content)
	for _, block := range []int{0, 1000, 1 << 20} {
		got, err := io.ReadAll(udt.NewRegion(f, 1234, 200_000, block))
		if err != nil || !bytes.Equal(got, content[1234:201_234]) {
			t.Errorf("blocks of %d: %d bytes: %v", block, len(got), err)
		}
	}
	got, err := io.ReadAll(udt.NewRegion(f, 299_000, 200_000, 0))
	if err != nil || !bytes.Equal(got, content[299_000:]) {
		t.Errorf("across the end: %d bytes: %v", len(got), err)
	}
}

// What a file can't give is said, with what it could; the connection goes on,
// and closes in time (libudt's sender never does after a file that is short).
func TestSendFileErrors(t *testing.T) {
	content := noise(7, 100_000)
	for name, c := range map[string]struct {
		file         func(t *testing.T) *os.File
		offset, size int64
		block        int
		code         udt.Code
		is           error
		sent         int64
	}{
		"nothing to send":   {offset: 5, size: 0, code: udt.SUCCESS},
		"less than nothing": {offset: 5, size: -5, code: udt.SUCCESS},
		"too short":         {offset: 40_000, size: 60_001, code: udt.ERDPERM, is: io.ErrUnexpectedEOF, sent: 60_000},
		"at its end":        {offset: 100_000, size: 1, code: udt.ERDPERM, is: io.ErrUnexpectedEOF},
		"behind its end":    {offset: 100_001, size: 1, code: udt.EINVRDOFF, is: io.ErrUnexpectedEOF},
		"negative offset":   {offset: -1, size: 1, code: udt.EINVRDOFF, is: os.ErrInvalid},
		"too far":           {offset: 1, size: math.MaxInt64, code: udt.EINVRDOFF, is: os.ErrInvalid},
		"negative block":    {offset: 1, size: 1, block: -1, code: udt.EINVRDOFF, is: os.ErrInvalid},
		"closed": {
			file: func(t *testing.T) *os.File {
				f := fileOf(t, content)
				f.Close()
				return f
			},
			size: 1, code: udt.ERDPERM, is: os.ErrClosed,
		},
		"no file": {file: func(*testing.T) *os.File { return nil }, size: 1, code: udt.ERDPERM, is: os.ErrInvalid},
		"for writing only": {
			file: func(t *testing.T) *os.File {
				f, err := os.OpenFile(fileOf(t, content).Name(), os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				return f
			},
			size: 1, code: udt.ERDPERM,
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := loopback(t, nil)
			file := c.file
			if file == nil {
				file = func(t *testing.T) *os.File { return fileOf(t, content) }
			}
			n, err := client.SendFile(file(t), c.offset, c.size, c.block)
			if n != c.sent {
				t.Errorf("%d bytes sent, want %d", n, c.sent)
			}
			switch {
			case c.code == udt.SUCCESS && err != nil:
				t.Error(err)
			case c.code != udt.SUCCESS && c.is != nil:
				wantError(t, err, c.code, c.is)
			case c.code != udt.SUCCESS:
				wantError(t, err, c.code)
			}
			begin := time.Now()
			meanwhile(t,
				func() error { return errors.Join(write(client, []byte("more")), client.Close()) },
				func() error {
					want := []byte("more")
					if c.sent > 0 {
						want = append(bytes.Clone(content[c.offset:][:c.sent]), want...)
					}
					return errors.Join(wantEOF(server, want), server.Close())
				},
			)
			wantTook(t, begin, 0, 20*time.Second) // far below the linger time
		})
	}
}

// When the receiver's file fails, its peer's SendFile is woken and says so;
// nothing is lost that was not written, and both go on.
func TestReceiveFileFails(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		content := noise(8, 1<<20)
		src, dst := fileOf(t, content), fileOf(t, nil)
		sending := start(func() (int, error) {
			n, err := client.SendFile(src, 0, int64(len(content)), 0)
			return int(n), err
		})
		const good = 50_000
		if n, err := server.ReceiveFile(dst, 0, good, 0); n != good || err != nil {
			t.Errorf("received %d: %v", n, err)
		}
		<-time.After(time.Second) // the sender waits for room
		readOnly, err := os.Open(dst.Name())
		if err != nil {
			t.Fatal(err)
		}
		defer readOnly.Close()
		n, err := server.ReceiveFile(readOnly, good, int64(len(content)), 0)
		if n != 0 {
			t.Errorf("%d bytes went into a file that can't be written", n)
		}
		wantError(t, err, udt.EWRPERM)
		sent := <-sending
		wantError(t, sent.err, udt.EPEERERR)
		var report *udt.PeerError
		if !errors.As(sent.err, &report) || report.Code != uint32(udt.EFILE) {
			t.Errorf("%v does not tell what the peer said", sent.err)
		}
		meanwhile(t,
			func() error { return errors.Join(write(client, []byte("go on")), client.Close()) },
			func() error {
				if err := wantBytes(server, content[good:sent.n]); err != nil {
					return err
				}
				return wantEOF(server, []byte("go on"))
			},
		)
		if !bytes.Equal(contentOf(t, dst), content[:good]) {
			t.Error("the file has other bytes than it should")
		}
	})
}

// How a ReceiveFile ends that does not get all it wants.
func TestReceiveFileEnds(t *testing.T) {
	content := noise(9, 30_000)
	for name, c := range map[string]struct {
		offset, size int64
		end          func(client, server *udt.Conn) error
		want         reply
		got          int64
	}{
		"nothing wanted":  {size: 0, want: fine},
		"negative offset": {offset: -1, size: 1, want: reply{code: udt.EINVWROFF, is: os.ErrInvalid}},
		"the peer closes": {
			size: 50_000, got: 30_000, want: reply{code: udt.ECONNLOST, is: io.ErrUnexpectedEOF},
			end: func(client, _ *udt.Conn) error { return client.Close() },
		},
		"the peer gives up": {
			size: 50_000, got: 30_000, want: lost,
			end: func(client, _ *udt.Conn) error { return client.Abort() },
		},
		"the deadline passes": {
			size: 50_000, got: 30_000, want: late,
			end: func(_, server *udt.Conn) error { return server.SetReadDeadline(time.Now()) },
		},
		"closed": {
			size: 50_000, got: 30_000, want: shut,
			end: func(_, server *udt.Conn) error { return server.Close() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
				if err := write(client, content); err != nil {
					t.Fatal(err)
				}
				f := fileOf(t, nil)
				receiving := start(func() (int, error) {
					n, err := server.ReceiveFile(f, c.offset, c.size, 0)
					return int(n), err
				})
				<-time.After(time.Second)
				if c.end != nil {
					if err := c.end(client, server); err != nil {
						t.Error(err)
					}
				}
				o := <-receiving
				c.want.want(t, o.err)
				if int64(o.n) != c.got || !bytes.Equal(contentOf(t, f), content[:c.got]) {
					t.Errorf("%d bytes, the file has %d, want %d", o.n, len(contentOf(t, f)), c.got)
				}
			})
		})
	}
}

// BenchmarkFile moves a file in memory over loopback; BenchmarkLoopback is the
// same without a file.
func BenchmarkFile(b *testing.B) {
	const size = 64 << 20
	dir := b.TempDir()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if dir, err = os.MkdirTemp("/dev/shm", "udtcp"); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	open := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		if err := f.Truncate(size); err != nil {
			b.Fatal(err)
		}
		return f
	}
	src, dst := open("from"), open("to")
	client, server := loopback(b, nil)
	defer closeAll(b, client, server)
	b.SetBytes(size)
	for b.Loop() {
		received := start(func() (int, error) {
			n, err := server.ReceiveFile(dst, 0, size, 0)
			return int(n), err
		})
		if _, err := client.SendFile(src, 0, size, 0); err != nil {
			b.Fatal(err)
		}
		if o := <-received; o.err != nil {
			b.Fatal(o.err)
		}
	}
}
