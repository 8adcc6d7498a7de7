// One UDT socket with the same two calls for blocking and non-blocking use.

#ifndef UDTPEER_LINK_H
#define UDTPEER_LINK_H

#include <netdb.h>
#include <udt/udt.h>

#include <string>

#include "options.h"

// Sets what the options ask for; call before bind or connect.
bool configure(UDTSOCKET u, const Options& o);

// Resolves host and port to one literal or named address. The caller frees it.
addrinfo* resolve(const std::string& host, const std::string& port, bool passive);

// Connects u and, when asked for non-blocking use, waits until it stands.
// Returns 0 or libudt's error code.
int connect_link(UDTSOCKET u, const addrinfo* to, const Options& o);

class Link {
 public:
  Link(UDTSOCKET u, const Options& o);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Sends all n bytes. Returns 0 or libudt's error code.
  int send(const char* p, int n);
  // Receives 1..n bytes and says how many. Returns 0 or libudt's error code.
  int recv(char* p, int n, int& got);
  // Lets unacknowledged data drain, then sends the shutdown packet.
  void close();

  UDTSOCKET socket() const { return u_; }

 private:
  void wait(int eid);

  UDTSOCKET u_;
  const Options& o_;
  int readable_ = -1, writable_ = -1;  // UDT epoll ids, non-blocking use only
};

#endif
