// Package transfer moves files, trees and pipes over one ordered, reliable byte stream, and ends with a receipt: Send
// returns nil only when everything is verified and durable at the other end, where Recv then returns nil as well. It
// knows nothing of what carries the bytes.
//
// # What is promised
//
// Whatever fails, and wherever: a destination name is absent, or has the old file, or the complete new file whose digest
// is the sender's. Partial bytes are only ever beside it, in ".NAME.udtcp-part" (mode 0600, locked; for a NAME near 255
// bytes its beginning and a digest); of a large file they are kept on failure, with a journal (see Resuming). A pipe gets a verified prefix of the stream: no gap, no
// repeat; a Drainer's reader has taken every byte before the receipt is sent. A source that changes while it is read ends the transfer at both ends. Nothing outside the destination can be
// named: names are single components, checked, and all work goes through one os.Root. Not promised: what a disk or a
// network file system does that says "synced" and has not; and, as with any two parties, that both know when the last connection dies while the receipt is on its way: then the sender says KindUnknown.
//
// # The conversation
//
// Both ends at once send a prelude of eight bytes ("UDTCP", the version 1, 'p' for plain or 's' for secure, newline) and
// a hello frame. A version that is not known, or a plain end facing a secure one, is refused in words; nothing is
// negotiated down, and nothing of the destination is touched before. In a secure session Greet exchanges the prelude in the
// clear, then package secure runs TLS, and inside it the conversation begins with the prelude once more, at the end that
// dialled before the other has accepted it (Enter, see Send). Then:
//
//	sender                                  receiver
//	offer   how much, if that is known
//	entry   a file: name, size, mode, time  have     of a large file: how much is here
//	data …  its chunks                      taken    how far verified bytes have got
//	file end  size, digests                 again    a chunk that did not fit its digest
//	entry   a directory                     receipt  every entry up to this number is durable
//	  … what is in it …
//	directory end
//	end     totals, digest of it all
//	data    (repair) chunks asked for       done     the final receipt
//	bye     the receipt arrived
//
// If both have the feature "skip", and the receiver writes no pipe, the sender walks ahead of all this and asks about each
// file (ask: its path, size and time, and whether digests shall be compared). The receiver answers in the same order (skip:
// send it, or it is here, or something of this size is here with this digest), and the entry of a file that need not come
// says so, carries the digest if that was compared, and is complete by itself. As many questions may be open as entries
// without a receipt; a file waits for its answer only when nothing else is to be sent, once, at the beginning. If both have
// the feature "early", the question about a file that is sent alone is in the sender's hello, and no ask frame comes. With
// the question that makes it much that was asked about comes a ping with 22 KiB of nothing, once: while the answer is on its
// way, the connection below learns about the path (fill.go).
//
// The sender never waits for an answer to an entry; it stops only when as many entries as agreed (4096) are without a
// receipt, or, for a pipe, as many chunks (28) have not been taken. The receiver refuses, or fails, with a fail frame at
// any time; so does the sender. Either tells the other what kind of failure it was and in which file, but no path of its
// machine.
//
// If both have the feature "links", which each has only if its user wants it, symbolic links come as link frames among
// the entries (link.go says which may).
//
// If both have the feature "sparse", and the receiver writes no pipe, a file's entry says about how much of it is holes, and
// a run of chunks that are all hole comes as one hole frame (at most 64 MiB) in place of data frames. The receiver leaves
// a hole, and in the other chunks of such a file leaves out blocks of zeros. Digests are those of the dense file.
//
// # Frames
//
// All numbers are big-endian.
//
//	 0  type            1 byte
//	 1  flags           1 byte; data only: 1 piece, 2 repair
//	 2  zero            2 bytes
//	 4  length of body  4 bytes; at most 64 KiB, or 48 + chunk size for data
//	 8  CRC-32C         4 bytes, over bytes 0 to 7 and the body; of a data frame's body only over the first 48 bytes
//	12  body            a CBOR map with integer keys; or of a data frame:
//	    entry number    8 bytes
//	    offset          8 bytes
//	    digest          32 bytes
//	    payload
//
// The CRC finds damage to what steers the conversation, and ends it; the digest finds damage to payload, and the chunk is
// asked for again: up to four times, and up to 64 chunks at a time.
//
//	0x01 hello  0x02 fail  0x03 ping  0x04 renew
//	0x10 offer  0x11 entry  0x12 data  0x13 file end  0x14 directory end  0x15 end  0x16 bye  0x17 hole  0x18 link
//	0x19 ask
//	0x20 receipt  0x21 taken  0x22 again  0x23 done  0x24 have  0x25 skip
//
// A feature that changes what an old end would read is named in the hello's features, and used only if both name it; one that an end
// cannot do without is named in its needs. Keys of a body that are not known are passed over.
//
// # Reconnecting
//
// A session outlives its connections (line.go). When one is lost, the end that dials dials again, after a random pause that
// grows, and the end that listens waits (retry.go), for as long as the user has said. What ends a session is a verdict, an
// *Error: of this end, or of the other in a fail frame, or that an end was called off; only what a connection's Read or
// Write says is a loss. A hello has the random identity that its end gave the session, and that of the other as it was on the
// first connection, so either sees whether the other still is the same. The receiver's has how far it has read the
// manifest as well. The sender sends again what it sent beyond that (rewind.go): entries are remembered until they are
// receipted, files are read once more, the chunks of a pipe are kept until they were handed on. Counts, receipts,
// answers, and requests for chunks are said again. So nothing comes twice, and a pipe sees no more than a pause.
//
// An end that has forgotten the session, because it is another process, is a new one: the other begins anew on the same
// connection, with what is durable as in another run; where a pipe is involved that cannot be, and both end with that.
// A listening end finds the session of a connection in its Hub. A receiver keeps a receipt that was sent for half a minute
// more, in case the sender did not get it.
//
// A sender that has sent as much over one connection as it may says renew and goes on over the next.
//
// # Digests
//
// A chunk is 1, 2 or 4 MiB, as the sender's hello says, at a multiple of its size. Its digest is the chaining value of
// that subtree of BLAKE3, so the digest of the whole file comes from the chunks' without hashing twice, chunks are hashed
// side by side, and a chunk digest holds at one place of a file only. A piece, of a stream, has any length, so that a slow
// pipe is not held up; its digest is the BLAKE3 digest of its bytes. SHA-256, if either end asks for it, is made of
// every file in addition.
//
// # Resuming
//
// A file of several chunks is written together with a journal (journal.go): every 32 MiB, or 2 s, the part file is synced
// in the background, and then the digests of the chunks that have become durable are appended to ".NAME.udtcp-journal"
// and synced as well. The writer waits rather than have more than 64 MiB that are not recorded. When the transfer fails
// both files stay, unless bytes did not fit their digests. The next receiver of a file with that name, size, time and chunk
// size tells the sender in a have frame up to where it has it. The sender goes on from there, and meanwhile reads and
// digests what it does not send, so the digest of the whole file is still that of all bytes of the source. It waits for
// the answer only until two in a row said "nothing"; an answer that comes later is heeded then, and what came twice is
// dropped.
//
// What proves that the kept bytes are right: the digests in the journal, which join to the whole file's, and the order
// of syncs, by which the bytes had been on disk when their digests were recorded. That the disk still has them is believed,
// unless the user wants them read (Verify); without that nothing would move for as long as reading takes. A journal that
// is damaged counts up to the first record that does not hold; one of another source, or with a part file that is too
// short, not at all.
//
// A file that was complete when its receipt was lost needs no resuming: the question about it (ask.go) finds that it is
// there, by size and time, or, where it would be refused otherwise, by the digests of both ends.
//
// # UDT4's sendfile
//
// ServeLegacy and FetchLegacy speak the exchange of UDT4's own sendfile and recvfile programs (legacy.go) instead. It has
// no digest and no receipt, so less is promised: a file appears whole or not at all, as above, but what came may not be what
// the server has; and a server knows no more than that the bytes were acknowledged. Where the file goes is the business of
// the same sinks.
//
// # The goroutines
//
// Sender: scout (walks and asks) → producer (reads what is small) → hashers (read the rest) → sealer (digests of files, in order) → writer (packs frames); reader
// (receipts), mender (chunks asked for again). Receiver: reader (intake, the state machine) → workers (verify; a file of
// one chunk they store as well) → lane (large files and streams, in order) → committer (makes entries durable, many at
// once, and counts receipts) → writer (outbox); desk (answers what is asked). Chunks are lent from a pool of some 6 MiB, for pipes 32. Every end ends
// through session.end: the first call decides, everybody waits for session.stop as well as for what they wait for.
//
// # Durability
//
// A file is complete when all its chunks are verified. The committer takes what is complete, syncs it (a few files each,
// many by one sync of the file system where that reports errors), gives it its name by a rename, or a link, that fails if
// the name is taken (to replace, a mere rename), syncs the directories, and sends the receipt. While it does, more gathers:
// one sync serves as many files as came during the one before. Large files are synced every 32 MiB or 2 s in the
// background. A failed sync is final.
package transfer
