package transfer

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"time"
)

// What an entry is. (entryLink and entryLeave have frames of their own.)
const (
	entryFile   = 0
	entryDir    = 1
	entryStream = 2 // bytes without a name or a known size: standard input
)

// What an offer is about.
const (
	shapeOne    = 0 // one file
	shapeMany   = 1 // several files, or directories
	shapeStream = 2 // one stream
)

// offerBody (frameOffer) opens the manifest and says how much there will be. It may come a second time when the totals
// were not known at first.
type offerBody struct {
	Shape uint8 `cbor:"1,keyasint"`
	Files int64 `cbor:"2,keyasint"` // -1: not known
	Bytes int64 `cbor:"3,keyasint"` // -1: not known
}

func (b *offerBody) check() error {
	switch {
	case b.Shape > shapeStream:
		return errors.New("a shape that is not known")
	case b.Files < -1 || b.Bytes < -1:
		return errors.New("a negative total")
	case b.Shape != shapeMany && b.Files != 1:
		return errors.New("one file or stream that is not one")
	}
	return nil
}

// entryBody (frameEntry) begins a file, a stream or a directory. Its place is the directory that is open: entries between
// a directory's own and its end are inside it.
type entryBody struct {
	ID    uint64  `cbor:"1,keyasint"` // counts entries and directory ends from 1
	Kind  uint8   `cbor:"2,keyasint"`
	Name  string  `cbor:"3,keyasint,omitempty"` // one component; none for a stream
	Size  int64   `cbor:"4,keyasint"`           // bytes; -1 for a stream, 0 for a directory
	Mode  *uint32 `cbor:"5,keyasint,omitempty"` // permission bits, if they are to be preserved
	Mtime *int64  `cbor:"6,keyasint,omitempty"` // seconds since 1970, likewise
	Nanos uint32  `cbor:"7,keyasint,omitempty"` // and nanoseconds
	// Stamp, of a file of several chunks, is the modification time in nanoseconds since 1970, also where it is not to be
	// preserved: an earlier attempt to receive the file is known by it. 0: there is nothing to know it by.
	Stamp int64 `cbor:"15,keyasint,omitempty"`

	Ask    uint64 `cbor:"8,keyasint,omitempty"`  // of a file: the question about it, if there was one
	Kept   bool   `cbor:"9,keyasint,omitempty"`  // the answer was that it is there: no data and no file end follow
	Digest []byte `cbor:"10,keyasint,omitempty"` // BLAKE3, if that was compared
	SHA256 []byte `cbor:"11,keyasint,omitempty"` // likewise, if that was agreed on
	Holes  int64  `cbor:"12,keyasint,omitempty"` // of a file: bytes that will take no room, about; the file has holes
}

func (b *entryBody) check() error {
	switch {
	case b.Kind > entryStream:
		return errors.New("an entry of a kind that is not known")
	case b.Kind == entryFile && b.Size < 0, b.Kind == entryDir && b.Size != 0, b.Kind == entryStream && b.Size != -1:
		return errors.New("a size that does not fit the kind of entry")
	case b.Kind == entryStream && b.Name != "":
		return errors.New("a stream with a name")
	case b.Nanos >= 1e9:
		return errors.New("more nanoseconds than a second has")
	case b.Holes < 0 || b.Holes > 0 && (b.Kind != entryFile || b.Holes > b.Size):
		return errors.New("holes that cannot be")
	case b.Kept && b.Ask == 0, b.Ask != 0 && b.Kind != entryFile:
		return errors.New("an answer without its question")
	case b.Digest != nil && (!b.Kept || len(b.Digest) != 32), b.SHA256 != nil && (b.Digest == nil || len(b.SHA256) != 32):
		return errors.New("a digest out of place")
	}
	return nil
}

// perm is the mode to give, cut to the permission bits: nobody gets a set-user-ID file from a peer.
func (b *entryBody) perm() (fs.FileMode, bool) {
	if b.Mode == nil {
		return 0, false
	}
	return fs.FileMode(*b.Mode) & fs.ModePerm, true
}

// mtime is the modification time to give; zero if none was sent, or one that no file system keeps.
func (b *entryBody) mtime() time.Time {
	const year292 = math.MaxInt64 / 1_000_000_000 // beyond it nanoseconds do not fit
	if b.Mtime == nil || *b.Mtime > year292-1 || *b.Mtime < -year292+1 {
		return time.Time{}
	}
	return time.Unix(*b.Mtime, int64(b.Nanos))
}

// setAttributes fills in what is preserved.
func (b *entryBody) setAttributes(info fs.FileInfo) {
	mode, sec := uint32(info.Mode().Perm()), info.ModTime().Unix()
	b.Mode, b.Mtime, b.Nanos = &mode, &sec, uint32(info.ModTime().Nanosecond())
}

// fileEndBody (frameFileEnd) follows the last byte of a file or stream.
type fileEndBody struct {
	ID     uint64 `cbor:"1,keyasint"`
	Size   int64  `cbor:"2,keyasint"`
	Digest []byte `cbor:"3,keyasint"`           // BLAKE3, 32 bytes
	SHA256 []byte `cbor:"4,keyasint,omitempty"` // if that was agreed on
}

func (b *fileEndBody) check() error {
	switch {
	case b.Size < 0:
		return errors.New("a negative size")
	case len(b.Digest) != 32:
		return errors.New("a digest that is not 32 bytes")
	case b.SHA256 != nil && len(b.SHA256) != 32:
		return errors.New("a SHA-256 digest that is not 32 bytes")
	}
	return nil
}

// hex is the digest to report.
func (b *fileEndBody) hex(d Digest) string {
	if d == SHA256 {
		return hex.EncodeToString(b.SHA256)
	}
	return hex.EncodeToString(b.Digest)
}

// dirEndBody (frameDirEnd) closes the innermost open directory, all of whose entries came before.
type dirEndBody struct {
	ID uint64 `cbor:"1,keyasint"`
}

func (b *dirEndBody) check() error { return nil }

// endBody (frameEnd) closes the manifest: nothing follows but chunks asked for again, and the bye.
type endBody struct {
	Entries uint64 `cbor:"1,keyasint"` // the last number given
	Files   int64  `cbor:"2,keyasint"` // files and streams
	Bytes   int64  `cbor:"3,keyasint"`
	Digest  string `cbor:"4,keyasint"` // what Result.Digest will say
}

func (b *endBody) check() error {
	if b.Files < 0 || b.Bytes < 0 || len(b.Digest) > 64 {
		return errors.New("totals that cannot be")
	}
	return nil
}

// pingBody (framePing) says that this end is at work and has nothing to say.
type pingBody struct {
	Fill []byte `cbor:"1,keyasint,omitempty"` // for the path to be filled with; see fill.go
}

func (b *pingBody) check() error { return nil }

// renewBody (frameRenew) is the last frame on a connection that has carried as much as it may: on to another.
type renewBody struct{}

func (b *renewBody) check() error { return nil }

// byeBody (frameBye) tells the receiver that the final receipt arrived.
type byeBody struct{}

func (b *byeBody) check() error { return nil }
