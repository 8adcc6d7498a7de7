package transfer

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// fetch is the state of one FetchLegacy: a receiver whose sinks take one file, from another conversation.
type fetch struct {
	*receiver
	name string // asked for
}

// FetchLegacy asks a server of UDT4's sendfile exchange for a file. The rules for conn, ctx, errors and what is on disk
// are those of Recv, but nothing proves that the bytes are the server's: the exchange has no digest (the one in the Result
// is worked out here) and the server is told nothing. An end before the announced size is KindLost, a file that the
// server does not have or cannot read KindRemoteIO.
func FetchLegacy(ctx context.Context, conn io.ReadWriteCloser, name string, o RecvOptions) (Result, error) {
	return fetchLegacy(ctx, conn, name, o, func(dir string) (store, error) { return openStore(dir) })
}

// CheckFetchLegacy is the part of FetchLegacy that needs no connection. It changes nothing.
func CheckFetchLegacy(name string, o RecvOptions) error {
	switch {
	case name == "":
		return usage("the name to ask for is empty", "give the name of a file that the server has")
	case len(name) > legacyName:
		return usage(fmt.Sprintf("the name to ask for has %d bytes, and UDT4's sendfile has room for %d", len(name), legacyName),
			"ask for it by a shorter path")
	case strings.Contains(name, "\x00"):
		return usage("the name to ask for has a zero byte in it", "give the name of a file that the server has")
	}
	if err := CheckDestination(o); err != nil || o.Dir == "" {
		return err
	}
	if fault := nameFault(lastOf(name)); fault != "" {
		return usage("a file cannot be called "+Quote(lastOf(name))+" here: "+fault, "give it a name with -o FILE")
	}
	return checkFile(filepath.Join(o.Dir, lastOf(name)), o.Overwrite)
}

// lastOf is the last component of a path at the server.
func lastOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func fetchLegacy(ctx context.Context, conn io.ReadWriteCloser, name string, o RecvOptions,
	open func(dir string) (store, error),
) (Result, error) {
	begin := time.Now()
	f := &fetch{receiver: &receiver{session: newLegacySession(conn, o.OnFile, o.OnMessage), o: o, progress: o.Progress}, name: name}
	if f.progress == nil {
		f.progress = new(Progress)
	}
	undo := f.watch(ctx)
	f.end(f.run(open))
	undo()
	if f.err != nil {
		f.abort()
		f.result.Digest = ""
	}
	if f.sink != nil {
		if err := f.sink.abandon(keepNothing); err != nil {
			f.notes.message("could not tidy up: " + reason(err))
		}
	}
	f.result.Elapsed = time.Since(begin)
	return f.result, f.outcome(ctx)
}

func (f *fetch) run(open func(dir string) (store, error)) error {
	digest, err := checkDigest(f.o.Digest)
	f.result.DigestAlgorithm = digest
	if err != nil {
		return err
	}
	if err := CheckFetchLegacy(f.name, f.o); err != nil {
		return err
	}
	if err := f.openSink(open); err != nil {
		return err
	}
	size, err := f.ask()
	if err != nil {
		return err
	}
	if err := f.limit(size, f.name); err != nil {
		return err
	}
	e := &inbound{path: lastOf(f.name)}
	e.Kind, e.Name, e.Size = entryFile, e.path, size
	return f.take(e)
}

// ask sends the request and gives the size that the server answers.
func (f *fetch) ask() (int64, error) {
	if _, err := f.conn.Write(legacyRequest(f.name)); err != nil {
		return 0, lost("before the server was asked", err)
	}
	var b [legacySize]byte
	if n, err := io.ReadFull(f.conn, b[:]); err != nil {
		if n > 0 {
			return 0, lost("in the middle of the server's answer", err)
		}
		return 0, lost("before the server answered", err)
	}
	size, ok := parseLegacySize(b)
	switch {
	case !ok || string(b[:len(preludeMagic)]) == preludeMagic:
		return 0, foreignLegacy(b[:], "start 'udtcp send --listen --compat sendfile' or UDT4's sendfile there")
	case size == legacyAbsent:
		return 0, &Error{
			Kind: KindRemoteIO, Path: f.name, Msg: "there is no such file to be had",
			Hint: "check the name: it must be spelled as the server knows it", Remote: true,
		}
	}
	return size, nil
}

// take receives the file's bytes and makes them durable under their name.
func (f *fetch) take(e *inbound) error {
	f.progress.setTotals(e.Size, 1)
	f.progress.setName(f.name)
	if err := f.sink.open(e); err != nil {
		return err
	}
	if err := f.sink.begin(e); err != nil {
		return err
	}
	digest := newFileDigest(minChunk, f.result.DigestAlgorithm)
	block := make([]byte, min(legacyBlock, e.Size))
	for got := int64(0); got < e.Size; {
		n, err := io.ReadAtLeast(f.conn, block[:min(legacyBlock, e.Size-got)], 1)
		if err != nil {
			return lost(fmt.Sprintf("after %d of %d bytes", got, e.Size), err)
		}
		if err := f.sink.write(e, block[:n], got); err != nil {
			return err
		}
		digest.add(block[:n])
		got += int64(n)
		f.progress.raise(got)
	}
	if err := f.sink.finish(e); err != nil {
		return err
	}
	if err := f.sink.commit([]*inbound{e}); err != nil {
		return err
	}
	f.result.Files, f.result.Bytes, f.result.Digest = 1, e.Size, digest.hex()
	f.progress.files.Store(1)
	f.notes.file(FileDone{Name: f.name, Size: e.Size, Digest: f.result.Digest})
	return nil
}
