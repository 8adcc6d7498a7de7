package transfer

import (
	"io"
	"time"
)

// Digest names an algorithm for the digest that is reported at the end. Chunks are always protected by BLAKE3, and the
// BLAKE3 digest of every file is always proven; SHA256 adds a second digest for people to compare with sha256sum.
type Digest string

// The algorithms. The empty Digest means BLAKE3. If either end asks for SHA256 both ends report SHA256.
const (
	BLAKE3 Digest = "blake3"
	SHA256 Digest = "sha256"
)

// FileDone is one file that is complete: at the receiver durable under its final name (or taken by the writer), at the
// sender confirmed by the receiver.
type FileDone struct {
	Name    string // slash-separated, relative; "-" for a stream; at the receiver the peer's word: Quote it for people
	Size    int64  // bytes
	Digest  string // hexadecimal; empty for a file that was there and whose size and time said so
	Resumed int64  // bytes that were there already: all of a file that did not have to come
}

// SendOptions says what to send. Only Paths is required.
type SendOptions struct {
	Paths []string // files, directories, or one "-" for Stdin
	// Listed, unless nil, are the things to send instead, as paths relative to the one directory in Paths, or if that is
	// empty to the current one. They keep these paths at the receiver. A directory stands for all it holds, a symbolic
	// link for itself.
	Listed   []string
	Exclude  []string  // patterns of what to leave out: see the command's help, or type globs
	Stdin    io.Reader // what "-" reads; a SetReadDeadline method is used to end a blocked Read on failure
	Preserve bool      // send mode and modification time
	Links    bool      // send symbolic links in directories as links, if the receiver keeps them; otherwise they are skipped
	Checksum bool      // compare digests, where size and time would do, to tell whether the receiver has a file
	NoResume bool      // send everything, whatever the receiver has
	Verify   bool      // have the receiver read what an earlier attempt left before it keeps it
	Digest   Digest    // digest to report; empty is BLAKE3
	Software string    // own name and version for the peer's messages, "udtcp 1.2"; may be empty
	Secure   bool      // conn is encrypted and the peer known; the other end must say so too

	Retry    Retry     // what to do when the connection is lost
	Progress *Progress // may be nil
	// OnFile is told of each file confirmed by the receiver. OnMessage gets a line for people, safe to print, about what
	// was skipped (a symbolic link, a device) or went less than well. Either may be nil. Calls never overlap; they
	// hold up the transfer, so return soon.
	OnFile    func(FileDone)
	OnMessage func(line string)
	// OnReconnect is told when a connection is lost, or at its limit, and another is sought. It may be nil.
	OnReconnect func(Reconnecting)
}

// RecvOptions says where to put what comes. Exactly one of Dir, File and Stdout is set.
type RecvOptions struct {
	Dir    string    // write below this directory, which is made if it does not exist
	File   string    // write the one file that comes to this name; several are refused
	Stdout io.Writer // write the one file or stream that comes here; several are refused. It may be a Drainer

	Overwrite bool   // replace existing files, each atomically; otherwise they are refused
	Preserve  bool   // apply mode (permission bits only) and modification time
	Links     bool   // keep symbolic links whose targets stay inside what is sent; directories must then be real ones here
	Checksum  bool   // as in SendOptions
	NoResume  bool   // take nothing over that an earlier attempt left
	syncEvery int64  // bytes of a large file between two syncs; 0 is the constant syncEvery; for tests
	Verify    bool   // read what an earlier attempt left, and keep only what has the digests that were recorded
	MaxSize   int64  // most bytes to accept in all; 0 is no limit
	Digest    Digest // digest to report; empty is BLAKE3
	Software  string // own name and version for the peer's messages; may be empty
	Secure    bool   // as in SendOptions

	Retry     Retry             // what to do when the connection is lost
	Progress  *Progress         // may be nil
	OnFile    func(FileDone)    // each file complete; as in SendOptions
	OnMessage func(line string) // as in SendOptions

	OnReconnect func(Reconnecting) // as in SendOptions
}

// Result is what a transfer amounted to. On failure it holds what was completed.
type Result struct {
	Files   int           // files and streams completed; directories are not counted
	Kept    int           // of these, files that were there already, left as they were
	Bytes   int64         // payload of the completed files, bytes
	Resumed int64         // of these, bytes that were there already
	Elapsed time.Duration // from the call to its return
	// Digest, in hexadecimal, is that of the one file or stream; of several it is the digest of the list that b3sum
	// (or sha256sum) prints for them in the order they were sent: "digest, two spaces, name, newline" each. Both ends
	// have compared it. Files without a digest are left out of it. Empty when no file was sent or the transfer failed.
	Digest          string
	DigestAlgorithm Digest // never empty
	PeerSoftware    string // what the peer calls itself, quoted, safe to print; may be empty
}

// add counts a file that is complete.
func (r *Result) add(f FileDone, kept bool) {
	r.Files++
	r.Bytes += f.Size
	r.Resumed += f.Resumed
	if kept {
		r.Kept++
	}
}
