package transfer

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// requestPatience is how long a client may take to say what it wants.
const requestPatience = 10 * time.Second

// Exports are the files that ServeLegacy gives away, by the names to ask for.
type Exports struct{ paths map[string]string }

// NewExports makes exports of files. A file goes by its path as it is given here, byte for byte, and by the last
// component of that where no other file shares it. Nothing else is given away, by no other spelling. A symbolic link is
// followed here, once.
func NewExports(paths []string) (*Exports, error) {
	x := &Exports{paths: make(map[string]string)}
	if len(paths) == 0 {
		return nil, usage("there is nothing to serve", "name the files")
	}
	last := make(map[string]string) // the path with this last component; "" if there are several
	for _, path := range paths {
		if path == "-" {
			return nil, usage("standard input has no name to be asked for", "name the files")
		}
		s, err := findSource(path)
		if err != nil {
			return nil, err
		}
		if s.info.IsDir() {
			return nil, usage(Quote(path)+" is a directory, and UDT4's sendfile exchange knows files alone", "name the files in it")
		}
		base := filepath.Base(path)
		if other, ok := last[base]; ok && other != path {
			last[base] = ""
		} else {
			last[base] = path
		}
		x.paths[path] = s.from
	}
	for base, path := range last {
		if path != "" {
			x.paths[base] = x.paths[path]
		}
	}
	if err := x.check(paths); err != nil {
		return nil, err
	}
	return x, nil
}

// check makes sure that each file has a name short enough to be asked for.
func (x *Exports) check(paths []string) error {
	reached := make(map[string]bool)
	for name, path := range x.paths {
		reached[path] = reached[path] || len(name) <= legacyName
	}
	for _, path := range paths {
		if !reached[x.paths[path]] {
			return usage(fmt.Sprintf("%s has no name of at most %d bytes of its own to be asked for", Quote(path), legacyName),
				"serve it by a shorter path")
		}
	}
	return nil
}

// server is the state of one ServeLegacy.
type server struct {
	*session
	digest   Digest
	exports  *Exports
	progress *Progress
	result   Result
}

// ServeLegacy answers one client of UDT4's sendfile exchange with one of the exports. Of o it takes Digest, Progress and
// OnFile. It returns nil once the client's end has acknowledged every byte, as conn's Close says, and unless the client
// then breaks off instead of closing; the exchange has no other receipt. Progress counts what conn has taken. A client that asks for anything else is told that it cannot be
// had, which is KindPolicy; one that leaves before it has acknowledged everything that was written, KindUnknown. A file
// that changes while it is sent is KindIntegrity: the client gets less than was announced.
//
// The rules for conn and ctx are those of Send, but for the end: conn has been closed, or aborted, whatever came.
func ServeLegacy(ctx context.Context, conn io.ReadWriteCloser, exports *Exports, o SendOptions) (Result, error) {
	begin := time.Now()
	s := &server{session: newLegacySession(conn, o.OnFile, o.OnMessage), exports: exports, progress: o.Progress}
	if s.progress == nil {
		s.progress = new(Progress)
	}
	undo := s.watch(ctx)
	digest, err := checkDigest(o.Digest)
	s.digest, s.result.DigestAlgorithm = digest, digest
	if err == nil {
		err = s.run()
	}
	s.end(err)
	undo()
	if s.err != nil {
		s.abort()
		s.result.Digest = ""
	}
	s.result.Elapsed = time.Since(begin)
	return s.result, s.outcome(ctx)
}

func (s *server) run() error {
	name, err := s.request()
	if err != nil {
		return err
	}
	from, ok := s.exports.paths[name]
	if !ok {
		return s.deny(refused("", name, "the client asks for "+Quote(name)+", which is not served",
			"it has to ask for a file by its name on the command line here"))
	}
	e := &outbound{path: name, from: from}
	f, err := openSource(from)
	if err != nil {
		return s.deny(localIO("open", from, name, err))
	}
	defer f.Close() // read only
	if e.info, err = f.Stat(); err != nil {
		return s.deny(localIO("look at", from, name, err))
	}
	if !e.info.Mode().IsRegular() {
		return s.deny(e.changedError())
	}
	e.Size = e.info.Size()
	s.progress.setTotals(e.Size, 1)
	s.progress.setName(name)
	sum, err := s.send(e, f)
	if err != nil {
		return err
	}
	if err := s.farewell(); err != nil {
		e := lost("after everything was sent, but before the client had acknowledged it", err)
		e.Kind, e.Hint = KindUnknown, "see whether the client has the whole file"
		return e
	}
	s.result.Files, s.result.Bytes, s.result.Digest = 1, e.Size, sum
	s.progress.files.Store(1)
	s.notes.file(FileDone{Name: name, Size: e.Size, Digest: sum})
	return nil
}

// request takes the name that the client asks for.
func (s *server) request() (string, error) {
	late := time.AfterFunc(requestPatience, func() {
		e := lost("before the client said what it wants", nil)
		e.Msg = "the client did not say within " + requestPatience.String() + " what it wants"
		s.end(e)
		s.abort()
	})
	defer late.Stop()
	var length [legacyLength]byte
	if _, err := io.ReadFull(s.conn, length[:]); err != nil {
		return "", lost("before the client said what it wants", err)
	}
	n, ok := parseLegacyLength(length)
	if !ok {
		return "", s.deny(foreignLegacy(length[:], "start 'udtcp recv --compat sendfile' or UDT4's recvfile there"))
	}
	name := make([]byte, n)
	if _, err := io.ReadFull(s.conn, name); err != nil {
		return "", lost("before the client said what it wants", err)
	}
	return string(name), nil
}

// farewell closes the connection, after the client if that closes soon: UDT4's recvfile fails on an empty file when the
// connection is closed already, and from a client that breaks off although it has everything we learn that it failed.
func (s *server) farewell() error {
	closed := make(chan error, 1)
	late := time.AfterFunc(partPatience, func() { closed <- s.conn.Close() })
	_, err := io.Copy(io.Discard, s.conn)
	if !late.Stop() {
		return <-closed
	}
	if err != nil {
		return err
	}
	return s.conn.Close()
}

// deny tells the client that it cannot have the file. Why is for this end alone.
func (s *server) deny(why error) error {
	if _, err := s.conn.Write(legacyAnswer(legacyAbsent)); err == nil {
		_ = s.conn.Close() // the failure itself matters more
	}
	return why
}

// send answers with the file and gives its digest. The end of the file, which makes it whole at the client, goes out
// only when nobody has written to it meanwhile.
func (s *server) send(e *outbound, f *os.File) (string, error) {
	if e.Size == 0 {
		if err := e.unchanged(f); err != nil {
			return "", err
		}
	}
	if _, err := s.conn.Write(legacyAnswer(e.Size)); err != nil {
		return "", lost("before the file was sent", err)
	}
	digest := newFileDigest(minChunk, s.digest)
	block := make([]byte, min(legacyBlock, e.Size))
	for offset := int64(0); offset < e.Size; {
		b := block[:min(legacyBlock, e.Size-offset)]
		if n, err := f.ReadAt(b, offset); n < len(b) {
			return "", e.readError(err)
		}
		digest.add(b)
		if offset+int64(len(b)) == e.Size {
			if err := e.unchanged(f); err != nil {
				return "", err
			}
		}
		n, err := s.conn.Write(b)
		offset += int64(n)
		s.progress.raise(offset)
		if err != nil {
			return "", lost(fmt.Sprintf("after %d of %d bytes", offset, e.Size), err)
		}
	}
	return digest.hex(), nil
}
