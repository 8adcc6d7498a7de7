// What one connection does from the moment it stands until it is closed.

#ifndef UDTPEER_SESSION_H
#define UDTPEER_SESSION_H

#include <cstdint>

#include "options.h"

struct Result {
  int64_t sent = 0, received = 0;  // bytes taken by send, given by recv
  int64_t messages = 0;            // dgram: messages sent or received
  uint64_t digest_sent = 0, digest_received = 0;
  int64_t bad_at = -1;             // first received byte that differs from --rseed
  double seconds = 0;              // from standing to the last byte (sink) or to the end of close
  int code = 0;                    // libudt's last error; 2001 or 5004 is how a sink sees the end
  bool ok = false;                 // did its job
  int64_t packets_sent = 0, retransmitted = 0;  // perfmon, before close
  double rtt_ms = 0;
};

// Runs the mode the options ask for over the connected socket and closes it.
Result run_session(int udt_socket, int index, const Options& o);

// Prints one whole line on stdout at once; safe from any thread.
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));

#endif
