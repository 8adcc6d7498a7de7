package udt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

// vectors makes a reader a udt.VectorReader.
type vectors struct{ io.Reader }

func (v vectors) ReadVector(bufs [][]byte) (total int, err error) {
	for _, b := range bufs {
		n, err := v.Read(b)
		total += n
		if err != nil || n < len(b) {
			return total, err
		}
	}
	return total, nil
}

// eachSource runs a test with a plain source and with one that fills vectors.
func eachSource(t *testing.T, run func(t *testing.T, as func(io.Reader) io.Reader)) {
	t.Helper()
	t.Run("plain", func(t *testing.T) { run(t, func(r io.Reader) io.Reader { return struct{ io.Reader }{r} }) })
	t.Run("vectors", func(t *testing.T) { run(t, func(r io.Reader) io.Reader { return vectors{r} }) })
}

// readFrom is c.ReadFrom for use with start.
func readFrom(c *udt.Conn, r io.Reader) (int, error) {
	n, err := c.ReadFrom(r)
	return int(n), err
}

// pieces gives data in reads of random sizes, now and then a full one, and
// sometimes the end together with the last bytes.
type pieces struct {
	data []byte
	rng  *rand.Rand
	most int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	if p.rng.IntN(4) > 0 {
		b = b[:min(len(b), p.rng.IntN(p.most))]
	}
	n := copy(b, p.data)
	if p.data = p.data[n:]; len(p.data) == 0 && p.rng.IntN(2) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// A sink keeps what it takes.
type sink struct {
	bytes.Buffer
	writes int
	limit  int // takes no more than this; 0: everything
	err    error
}

func (s *sink) Write(p []byte) (int, error) {
	s.writes++
	if s.limit > 0 && s.Len()+len(p) > s.limit {
		n, _ := s.Buffer.Write(p[:s.limit-s.Len()]) // never fails
		return n, s.err
	}
	return s.Buffer.Write(p)
}

// A vectorSink is a sink that takes several buffers at once.
type vectorSink struct{ *sink }

func (s vectorSink) WriteVector(bufs [][]byte) (int, error) {
	return s.Write(bytes.Join(bufs, nil))
}

// eachSink runs a test with a plain sink and with one that takes vectors.
func eachSink(t *testing.T, run func(t *testing.T, as func(*sink) io.Writer)) {
	t.Helper()
	t.Run("plain", func(t *testing.T) { run(t, func(s *sink) io.Writer { return s }) })
	t.Run("vectors", func(t *testing.T) { run(t, func(s *sink) io.Writer { return vectorSink{s} }) })
}

func TestCopies(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]simConfig{
		"clean":        {},
		"offloads":     {offloads: true},
		"large":        {client: udt.Config{MSS: 65535}, server: udt.Config{MSS: 65535}},
		"small window": {client: smallWindow, server: smallWindow},
		"faults": {offloads: true, link: simnet.Params{
			Rate: 200e6, Delay: 5 * ms, Queue: 1 << 20, Loss: 0.02, Duplicate: 0.02, Reorder: 0.05, ReorderBy: 4 * ms,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			eachSource(t, func(t *testing.T, as func(io.Reader) io.Reader) {
				for seed, most := range []int{100, 5_000, 200_000} {
					c.seed = uint64(seed)
					connected(t, c, func(t *testing.T, _ *sim, client, server *udt.Conn) {
						up, down := noise(uint64(seed), 700_000), noise(uint64(seed)+9, 300_000)
						rng := rand.New(rand.NewPCG(c.seed, 3))
						var got sink
						read := make(chan struct{})
						meanwhile(t,
							func() error {
								n, err := client.ReadFrom(as(&pieces{up, rng, most}))
								if err != nil || n != int64(len(up)) {
									return fmt.Errorf("took %d bytes, %w", n, err)
								}
								<-read
								return client.Close()
							},
							func() error { return scribble(server, down, c.seed) },
							func() error { defer close(read); return wantBytes(client, down) },
							func() error {
								if err := wantBytes(server, up[:1000]); err != nil {
									return err
								}
								to := io.Writer(&got)
								if seed == 1 {
									to = vectorSink{&got}
								}
								n, err := server.WriteTo(to)
								if err != nil || n != int64(got.Len()) {
									return fmt.Errorf("gave %d of %d bytes, %w", n, got.Len(), err)
								}
								return nil
							},
						)
						if !bytes.Equal(got.Bytes(), up[1000:]) {
							t.Errorf("%d other bytes", got.Len())
						}
					})
				}
			})
		})
	}
}

// A source that pauses holds back nothing: neither what it gave, nor other
// writers, nor Close.
func TestReadFromWaitsHoldingNothing(t *testing.T) {
	eachSource(t, func(t *testing.T, as func(io.Reader) io.Reader) {
		connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
			source, feed := io.Pipe()
			copying := start(func() (int, error) { return readFrom(client, as(source)) })
			said := 0
			for _, word := range []string{"a", "few", "words"} {
				begin := time.Now()
				fmt.Fprint(feed, word)
				said += len(word)
				if err := wantBytes(server, []byte(word)); err != nil {
					t.Fatal(err)
				}
				wantTook(t, begin, 0, 8*time.Millisecond) // the way takes 5 ms
				<-time.After(time.Second)
			}
			if err := write(client, []byte("another's")); err != nil {
				t.Fatal(err)
			}
			if err := wantBytes(server, []byte("another's")); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			meanwhile(t, client.Close, func() error { return wantEOF(server, nil) })
			wantTook(t, begin, 0, time.Second)
			fmt.Fprint(feed, "too late")
			o := <-copying
			if o.n != said {
				t.Errorf("took %d bytes, %d were said in time", o.n, said)
			}
			wantError(t, o.err, udt.EINVSOCK, net.ErrClosed)
		})
	})
}

// What a deadline cut short is told in bytes, and just these arrive.
func TestReadFromTellsHowMuch(t *testing.T) {
	eachSource(t, func(t *testing.T, as func(io.Reader) io.Reader) {
		connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
			data := noise(1, 1<<20)
			client.SetWriteDeadline(time.Now().Add(time.Second))
			n, err := readFrom(client, as(bytes.NewReader(data)))
			wantDeadline(t, err)
			if n == 0 {
				t.Error("nothing was taken")
			}
			source := bytes.NewReader(data)
			if m, err := readFrom(client, as(source)); m != 0 || source.Len() != len(data) {
				t.Errorf("behind its deadline: took %d bytes, left %d, %v", m, source.Len(), err)
			}
			client.SetWriteDeadline(time.Time{})
			meanwhile(t,
				func() error { _, err := readFrom(client, as(bytes.NewReader(data[n:]))); return err },
				func() error { return wantBytes(server, data) },
			)
		})
	})
}

var errSource = errors.New("source failed")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errSource }

type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, nil }

func TestReadFromSourceFails(t *testing.T) {
	eachSource(t, func(t *testing.T, as func(io.Reader) io.Reader) {
		connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
			data := noise(1, 100_000)
			n, err := readFrom(client, as(io.MultiReader(bytes.NewReader(data), failing{})))
			if n != len(data) || err != errSource { //nolint:errorlint // it is to be as it was
				t.Errorf("%d bytes, %v", n, err)
			}
			if n, err := readFrom(client, as(empty{})); n != 0 || !errors.Is(err, io.ErrNoProgress) {
				t.Errorf("a source that gives nothing: %d bytes, %v", n, err)
			}
			meanwhile(t, client.Close, func() error { return wantEOF(server, data) })
			n, err = readFrom(client, as(failing{}))
			wantError(t, err, udt.EINVSOCK, net.ErrClosed)
			if n != 0 {
				t.Errorf("%d bytes after Close", n)
			}
		})
	})
}

// The peer's end is not found out by reading what then is lost.
func TestReadFromAfterThePeerClosed(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		meanwhile(t, server.Close, func() error { return wantEOF(client, nil) })
		source := bytes.NewReader(make([]byte, 1000))
		_, err := readFrom(client, vectors{source})
		wantError(t, err, udt.ECONNLOST, udt.ErrPeerClosed)
		if source.Len() != 1000 {
			t.Errorf("%d bytes are gone", 1000-source.Len())
		}
	})
}

var errSink = errors.New("sink failed")

func TestWriteToSinkFails(t *testing.T) {
	eachSink(t, func(t *testing.T, as func(*sink) io.Writer) {
		for _, with := range []error{errSink, io.ErrShortWrite} {
			connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
				data := noise(1, 500_000)
				out := sink{limit: 123_456}
				if with != io.ErrShortWrite { //nolint:errorlint // it is the very value
					out.err = with
				}
				meanwhile(t, func() error { return write(client, data) }, func() error {
					n, err := server.WriteTo(as(&out))
					if n != 123_456 || err != with { //nolint:errorlint // it is to be as it was
						return fmt.Errorf("gave %d bytes, %w", n, err)
					}
					// What the sink did not take is still there.
					return wantBytes(server, data[n:])
				})
				if !bytes.Equal(out.Bytes(), data[:123_456]) {
					t.Error("other bytes")
				}
			})
		}
	})
}

type liar struct{}

func (liar) Write(p []byte) (int, error) { return len(p) + 1, nil }

type vectorLiar struct {
	liar
	says int
}

func (l vectorLiar) WriteVector([][]byte) (int, error) { return l.says, nil }

func TestWriteToEnds(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		if err := write(client, []byte("data")); err != nil {
			t.Fatal(err)
		}
		for _, w := range []io.Writer{liar{}, vectorLiar{says: 5}, vectorLiar{says: -1}} {
			if n, err := server.WriteTo(w); n != 0 || err == nil {
				t.Errorf("a sink that takes more than it got, or less than nothing: %d, %v", n, err)
			}
		}
		var got sink
		copying := start(func() (int, error) { n, err := server.WriteTo(&got); return int(n), err })
		<-time.After(time.Second)
		if err := client.Abort(); err != nil {
			t.Error(err)
		}
		o := <-copying
		wantError(t, o.err, udt.ECONNLOST, udt.ErrConnLost)
		if o.n != 4 || got.String() != "data" {
			t.Errorf("%d bytes: %q", o.n, got.String())
		}
	})
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, _ *udt.Conn) {
		copying := start(func() (int, error) { n, err := client.WriteTo(io.Discard); return int(n), err })
		<-time.After(time.Second)
		client.Abort()
		wantError(t, (<-copying).err, udt.EINVSOCK, net.ErrClosed)
	})
}

// Small packets that came together are written together; full ones are not
// gathered in a buffer first. A sink for vectors gets all that is there at once.
func TestWriteToGathers(t *testing.T) {
	eachSink(t, func(t *testing.T, as func(*sink) io.Writer) {
		connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
			for range 50 {
				if err := write(client, make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
				<-time.After(20 * time.Millisecond) // it leaves in a packet of its own
			}
			full := start(func() (int, error) { return client.Write(make([]byte, 64<<10)) })
			<-time.After(time.Second)
			var got sink
			meanwhile(t, client.Close, func() error { _, err := server.WriteTo(as(&got)); return err })
			<-full
			most := 4
			if _, vectors := as(&got).(udt.VectorWriter); vectors {
				most = 1
			}
			if st := client.Stats(false); got.Len() != 5000+64<<10 || st.PktSentTotal < 90 || got.writes > most {
				t.Errorf("%d bytes of %d packets came in %d writes", got.Len(), st.PktSentTotal, got.writes)
			}
		})
	})
}

// Files and pipes of the system, which are read straight into packets.
func TestCopyFiles(t *testing.T) {
	data := noise(5, 3<<20+123)
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mss := range []int{1500, 65535} {
		client, server := loopback(t, &udt.Config{MSS: mss})
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		in, feed, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.Create(name + ".got")
		if err != nil {
			t.Fatal(err)
		}
		taken, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		meanwhile(t,
			func() error { return errors.Join(scribble(feed, data, 1), feed.Close()) },
			func() error {
				for _, from := range []io.Reader{file, in} {
					if n, err := io.Copy(client, struct{ io.Reader }{from}); n != int64(len(data)) || err != nil {
						return fmt.Errorf("%d bytes: %w", n, err)
					}
					if from == in {
						break
					}
					if _, err := file.Seek(0, io.SeekStart); err != nil {
						return err
					}
					if n, err := client.ReadFrom(file); n != int64(len(data)) || err != nil {
						return fmt.Errorf("%d bytes: %w", n, err)
					}
				}
				return client.Close()
			},
			func() error { _, err := server.WriteTo(out); return errors.Join(err, out.Close()) },
			func() error { _, err := io.Copy(got, struct{ io.Reader }{taken}); return err },
		)
		b, err := os.ReadFile(got.Name())
		if err != nil || !bytes.Equal(b, bytes.Repeat(data, 3)) {
			t.Errorf("mss %d: %d bytes came, %v", mss, len(b), err)
		}
		// Errors are those that the file's own Read gives.
		client, peer := loopback(t, nil)
		if err := in.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.ReadFrom(in); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the pipe's deadline: %v", err)
		}
		if err := write(peer, []byte("left")); err != nil {
			t.Fatal(err)
		}
		reader, gone, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := gone.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if n, err := client.WriteTo(gone); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the pipe's deadline: %d bytes, %v", n, err)
		}
		if n, err := client.WriteTo(brokenPipe(t)); n != 0 || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("a pipe without a reader: %d bytes, %v", n, err)
		}
		for _, f := range []*os.File{file, in, got, taken, reader, gone} {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := client.ReadFrom(file); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a closed file: %v", err)
		}
		var pe *fs.PathError
		if _, err := client.ReadFrom(got); !errors.As(err, &pe) {
			t.Errorf("a closed file: %v", err)
		}
		if n, err := client.WriteTo(got); n != 0 || !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a closed file: %d bytes, %v", n, err)
		}
		if err := wantBytes(client, []byte("left")); err != nil {
			t.Error(err)
		}
		client.Abort()
		peer.Abort()
		server.Close()
	}
}

// brokenPipe is a pipe whose reader has gone.
func brokenPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// Neither way allocates per packet.
func TestCopyAllocations(t *testing.T) {
	client, server := loopback(t, nil)
	const size = 64 << 20
	move := func() {
		meanwhile(t,
			func() error { _, err := client.ReadFrom(vectors{io.LimitReader(zeros{}, size)}); return err },
			func() error { _, err := server.WriteTo(&counter{left: size}); return ignoring(err, errFull) })
	}
	move()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	packets := client.Stats(false).PktSentTotal
	move()
	packets = client.Stats(false).PktSentTotal - packets
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; packets < 40_000 || n > uint64(packets/20) {
		t.Errorf("%d allocations for %d packets", n, packets)
	}
	client.Abort()
	server.Abort()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

var errFull = errors.New("got it all")

// counter takes left bytes and then fails.
type counter struct{ left int }

func (c *counter) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left <= 0 {
		return len(p), errFull
	}
	return len(p), nil
}

func ignoring(err, fine error) error {
	if errors.Is(err, fine) {
		return nil
	}
	return err
}

// BenchmarkCopy moves data from pipe to pipe, or from memory to nowhere, by
// ReadFrom and WriteTo and by loops of Read and Write.
func BenchmarkCopy(b *testing.B) {
	for _, how := range []string{"loops", "copy"} {
		b.Run(how, func(b *testing.B) {
			client, server := loopback(b, nil)
			in, feed, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			drain, out, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			run := make(chan struct{}, 3)
			go func() { discard(drain); run <- struct{}{} }()
			go func() {
				var from io.Reader = server
				if how == "loops" {
					from = struct{ io.Reader }{server}
				}
				_, _ = io.CopyBuffer(struct{ io.Writer }{out}, from, make([]byte, 256<<10))
				out.Close()
				run <- struct{}{}
			}()
			go func() {
				if how == "loops" {
					_, _ = io.CopyBuffer(struct{ io.Writer }{client}, struct{ io.Reader }{in}, make([]byte, 256<<10))
				} else {
					_, _ = client.ReadFrom(in)
				}
				client.Close()
				run <- struct{}{}
			}()
			buf := make([]byte, 1<<20)
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := feed.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
			feed.Close()
			for range 3 {
				<-run
			}
			server.Close()
		})
	}
}
