// The exchange of UDT4's sendfile and recvfile programs, from either side.

#ifndef UDTPEER_SENDFILE_H
#define UDTPEER_SENDFILE_H

#include "options.h"
#include "session.h"

// Both take the length, the name and the size with one receive call each, as
// those programs do: what comes in parts is a short read, which fails.

// Serves the file that the peer asks for, whatever its path.
bool serve_file(int udt_socket, Result& r);

// Asks for o.name and writes it to o.file. A peer that does not have it is
// said on stdout as "absent".
bool fetch_file(int udt_socket, const Options& o, Result& r);

// Sends or receives --bytes of --file by libudt's own calls.
bool put_region(int udt_socket, const Options& o, Result& r);
bool get_region(int udt_socket, const Options& o, Result& r);

#endif
