#include "link.h"

#include <sys/socket.h>

#include <cstdio>
#include <set>

#include "custom.h"

namespace {

// libudt's epoll does not report a peer that closed; look again this often.
const int kLookAgainMs = 50;

template <typename T>
bool set(UDTSOCKET u, UDT::SOCKOPT opt, const char* name, T value) {
  if (UDT::setsockopt(u, 0, opt, &value, sizeof value) != UDT::ERROR) return true;
  fprintf(stderr, "udtpeer: option %s: %s\n", name, UDT::getlasterror().getErrorMessage());
  return false;
}

}  // namespace

bool configure(UDTSOCKET u, const Options& o) {
  // The order matters to libudt: buffers of the UDP socket cap the MSS, and
  // the flight size caps the receive buffer.
  bool ok = true;
  if (o.udpsnd > 0) ok = ok && set(u, UDP_SNDBUF, "UDP_SNDBUF", o.udpsnd);
  if (o.udprcv > 0) ok = ok && set(u, UDP_RCVBUF, "UDP_RCVBUF", o.udprcv);
  if (o.mss > 0) ok = ok && set(u, UDT_MSS, "UDT_MSS", o.mss);
  if (o.fc > 0) ok = ok && set(u, UDT_FC, "UDT_FC", o.fc);
  if (o.sndbuf > 0) ok = ok && set(u, UDT_SNDBUF, "UDT_SNDBUF", o.sndbuf);
  if (o.rcvbuf > 0) ok = ok && set(u, UDT_RCVBUF, "UDT_RCVBUF", o.rcvbuf);
  if (o.maxbw > 0) ok = ok && set(u, UDT_MAXBW, "UDT_MAXBW", o.maxbw);
  if (o.rendezvous) ok = ok && set(u, UDT_RENDEZVOUS, "UDT_RENDEZVOUS", true);
  if (o.linger >= 0) {
    linger l = {o.linger > 0 ? 1 : 0, o.linger};
    ok = ok && set(u, UDT_LINGER, "UDT_LINGER", l);
  }
  if (o.custom) ok = ok && answer_custom(u);
  return ok;
}

addrinfo* resolve(const std::string& host, const std::string& port, bool passive) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = passive ? AI_PASSIVE : 0;
  addrinfo* out = nullptr;
  int err = getaddrinfo(host.c_str(), port.c_str(), &hints, &out);
  if (err != 0) {
    fprintf(stderr, "udtpeer: %s port %s: %s\n", host.c_str(), port.c_str(), gai_strerror(err));
    return nullptr;
  }
  return out;
}

int connect_link(UDTSOCKET u, const addrinfo* to, const Options& o) {
  if (o.nonblock) {
    set(u, UDT_RCVSYN, "UDT_RCVSYN", false);
    set(u, UDT_SNDSYN, "UDT_SNDSYN", false);
  }
  if (UDT::connect(u, to->ai_addr, static_cast<int>(to->ai_addrlen)) == UDT::ERROR)
    return UDT::getlasterror_code();
  if (!o.nonblock) {
    // A blocking connect may "succeed" and leave the socket connecting for
    // ever when something else than a handshake arrives first.
    return UDT::getsockstate(u) == CONNECTED ? 0 : CUDTException::ENOCONN;
  }
  int eid = UDT::epoll_create(), events = UDT_EPOLL_OUT;
  UDT::epoll_add_usock(eid, u, &events);
  UDTSTATUS state;
  while ((state = UDT::getsockstate(u)) == CONNECTING) {
    std::set<UDTSOCKET> ready;
    UDT::epoll_wait(eid, nullptr, &ready, kLookAgainMs);
  }
  UDT::epoll_release(eid);
  return state == CONNECTED ? 0 : CUDTException::ENOSERVER;
}

Link::Link(UDTSOCKET u, const Options& o) : u_(u), o_(o) {
  if (!o.nonblock) return;
  set(u, UDT_RCVSYN, "UDT_RCVSYN", false);
  set(u, UDT_SNDSYN, "UDT_SNDSYN", false);
  int in = UDT_EPOLL_IN, out = UDT_EPOLL_OUT;
  readable_ = UDT::epoll_create();
  writable_ = UDT::epoll_create();
  UDT::epoll_add_usock(readable_, u, &in);
  UDT::epoll_add_usock(writable_, u, &out);
}

Link::~Link() {
  if (readable_ >= 0) UDT::epoll_release(readable_);
  if (writable_ >= 0) UDT::epoll_release(writable_);
}

void Link::wait(int eid) {
  std::set<UDTSOCKET> r, w;
  UDT::epoll_wait(eid, &r, &w, kLookAgainMs);
}

int Link::send(const char* p, int n) {
  while (n > 0) {
    int sent = o_.dgram ? UDT::sendmsg(u_, p, n, o_.ttl, o_.inorder) : UDT::send(u_, p, n, 0);
    if (sent == UDT::ERROR) {
      int code = UDT::getlasterror_code();
      if (code != CUDTException::EASYNCSND) return code;
      wait(writable_);
      continue;
    }
    p += sent;
    n -= sent;
  }
  return 0;
}

int Link::recv(char* p, int n, int& got) {
  for (;;) {
    got = o_.dgram ? UDT::recvmsg(u_, p, n) : UDT::recv(u_, p, n, 0);
    if (got != UDT::ERROR) return 0;
    got = 0;
    int code = UDT::getlasterror_code();
    if (code != CUDTException::EASYNCRCV) return code;
    wait(readable_);
  }
}

void Link::close() {
  // Only a socket with blocking sends lingers inside close.
  bool blocking = true;
  UDT::setsockopt(u_, 0, UDT_SNDSYN, &blocking, sizeof blocking);
  UDT::close(u_);
}
