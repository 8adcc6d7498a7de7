// udtpeer: an endpoint on the C++ library UDT 4 (Debian's libudt) for interop
// tests, captures and benchmarks. See options.cpp for its usage.

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <udt/udt.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "link.h"
#include "options.h"
#include "session.h"

namespace {

const int kExitFailed = 1, kExitUsage = 2, kExitLimit = 4;

void on_limit(int) {
  const char text[] = "udtpeer: time limit reached\n";
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(kExitLimit);
  _exit(kExitLimit);
}

double cpu_seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; }

double mbps(int64_t bytes, double seconds) { return seconds > 0 ? static_cast<double>(bytes) * 8 / seconds / 1e6 : 0; }

// Totals of all connections; add is called once by each.
class Tally {
 public:
  explicit Tally(const Options& o) : o_(o) {}

  void add(int index, const Result& r) {
    say("conn index=%d mode=%s ok=%d code=%d sent=%lld received=%lld messages=%lld digest_sent=%016llx "
        "digest_received=%016llx bad_at=%lld seconds=%.6f mbps=%.3f packets_sent=%lld retransmitted=%lld rtt_ms=%.3f",
        index, o_.mode.c_str(), r.ok, r.code, wide(r.sent), wide(r.received), wide(r.messages), hex(r.digest_sent),
        hex(r.digest_received), wide(r.bad_at), r.seconds, mbps(r.sent + r.received, r.seconds), wide(r.packets_sent),
        wide(r.retransmitted), r.rtt_ms);
    std::lock_guard<std::mutex> lock(mutex_);
    ++conns_;
    if (!r.ok) ++failed_;
    sent_ += r.sent;
    received_ += r.received;
    if (r.seconds > seconds_) seconds_ = r.seconds;
  }

  // Prints the last line; gives the program's exit status.
  int finish() {
    rusage ru = {};
    getrusage(RUSAGE_SELF, &ru);
    say("total conns=%d failed=%d sent=%lld received=%lld seconds=%.6f mbps=%.3f cpu_user=%.3f cpu_system=%.3f", conns_,
        failed_, wide(sent_), wide(received_), seconds_, mbps(sent_ + received_, seconds_), cpu_seconds(ru.ru_utime),
        cpu_seconds(ru.ru_stime));
    return failed_ > 0 || conns_ < o_.conns ? kExitFailed : 0;
  }

 private:
  static long long wide(int64_t v) { return v; }
  static unsigned long long hex(uint64_t v) { return v; }

  const Options& o_;
  std::mutex mutex_;
  int conns_ = 0, failed_ = 0;
  int64_t sent_ = 0, received_ = 0;
  double seconds_ = 0;
};

UDTSOCKET open_socket(int family, const Options& o) {
  UDTSOCKET u = UDT::socket(family, o.dgram ? SOCK_DGRAM : SOCK_STREAM, 0);
  if (u == UDT::INVALID_SOCK || !configure(u, o)) return UDT::INVALID_SOCK;
  return u;
}

int complain(const char* what) {
  fprintf(stderr, "udtpeer: %s: %d %s\n", what, UDT::getlasterror_code(), UDT::getlasterror().getErrorMessage());
  return kExitFailed;
}

int local_port(UDTSOCKET u) {
  sockaddr_storage a = {};
  int len = sizeof a;
  if (UDT::getsockname(u, reinterpret_cast<sockaddr*>(&a), &len) == UDT::ERROR) return -1;
  return ntohs(a.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&a)->sin6_port
                                       : reinterpret_cast<sockaddr_in*>(&a)->sin_port);
}

int serve(const Options& o) {
  addrinfo* at = resolve(o.host, o.port, true);
  if (at == nullptr) return kExitUsage;
  UDTSOCKET listener = open_socket(at->ai_family, o);
  if (listener == UDT::INVALID_SOCK) return complain("socket");
  if (UDT::bind(listener, at->ai_addr, static_cast<int>(at->ai_addrlen)) == UDT::ERROR) return complain("bind");
  freeaddrinfo(at);
  if (UDT::listen(listener, o.backlog) == UDT::ERROR) return complain("listen");
  say("listening %d", local_port(listener));

  Tally tally(o);
  std::vector<std::thread> threads;
  for (int i = 0; i < o.conns; ++i) {
    sockaddr_storage from = {};
    int len = sizeof from;
    UDTSOCKET u = UDT::accept(listener, reinterpret_cast<sockaddr*>(&from), &len);
    if (u == UDT::INVALID_SOCK) return complain("accept");
    threads.emplace_back([&tally, &o, u, i] { tally.add(i, run_session(u, i, o)); });
  }
  for (std::thread& t : threads) t.join();
  return tally.finish();
}

bool bind_to(UDTSOCKET u, int family, const std::string& port) {
  addrinfo* any = resolve(family == AF_INET6 ? "::" : "0.0.0.0", port, true);
  if (any == nullptr) return false;
  bool ok = UDT::bind(u, any->ai_addr, static_cast<int>(any->ai_addrlen)) != UDT::ERROR;
  freeaddrinfo(any);
  return ok;
}

// Binds u to the port the first caller got, for --share.
bool bind_shared(UDTSOCKET u, int family) {
  static std::mutex mutex;
  static int port = 0;
  std::lock_guard<std::mutex> lock(mutex);
  bool ok = bind_to(u, family, std::to_string(port));
  if (ok && port == 0) port = local_port(u);
  return ok;
}

// Binds u and says where, so that the other end can be told, for --rendezvous.
bool bind_rendezvous(UDTSOCKET u, int family, const Options& o) {
  if (!bind_to(u, family, o.from)) return false;
  say("bound %d", local_port(u));
  if (o.wait)
    for (int c = getchar(); c != EOF && c != '\n';) c = getchar();
  return true;
}

// Returns the connected socket, or tallies why there is none.
UDTSOCKET connect_one(const Options& o, const addrinfo* to, int index, Tally& tally) {
  Result r;
  UDTSOCKET u = open_socket(to->ai_family, o);
  if (u == UDT::INVALID_SOCK || (o.share && !bind_shared(u, to->ai_family)) ||
      (o.rendezvous && !bind_rendezvous(u, to->ai_family, o))) {
    r.code = UDT::getlasterror_code();
    tally.add(index, r);
    return UDT::INVALID_SOCK;
  }
  r.code = connect_link(u, to, o);
  if (r.code != 0) {
    UDT::close(u);
    tally.add(index, r);
    return UDT::INVALID_SOCK;
  }
  return u;
}

// Makes the connections first..end, then serves one after the other.
void dial_some(const Options& o, const addrinfo* to, int first, int end, Tally& tally) {
  std::vector<UDTSOCKET> sockets;
  for (int i = first; i < end; ++i) sockets.push_back(connect_one(o, to, i, tally));
  for (int i = first; i < end; ++i) {
    UDTSOCKET u = sockets[i - first];
    if (u != UDT::INVALID_SOCK) tally.add(i, run_session(u, i, o));
  }
}

int dial(const Options& o) {
  addrinfo* to = resolve(o.host, o.port, false);
  if (to == nullptr) return kExitUsage;
  Tally tally(o);
  std::vector<std::thread> threads;
  int n = o.threads > 0 ? o.threads : o.conns;
  for (int i = 0; i < n; ++i) {
    int first = o.conns * i / n, end = o.conns * (i + 1) / n;
    threads.emplace_back([&o, to, first, end, &tally] { dial_some(o, to, first, end, tally); });
  }
  for (std::thread& t : threads) t.join();
  freeaddrinfo(to);
  return tally.finish();
}

// Prints every error code of libudt with its text.
int print_codes() {
  for (int code : {0,    1000, 1001, 1002, 1003, 1004, 2000, 2001, 2002, 3000, 3001, 3002, 4000,
                   4001, 4002, 4003, 4004, 5000, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008,
                   5009, 5010, 5011, 5012, 5013, 6000, 6001, 6002, 6003, 7000, -1}) {
    CUDTException e(code < 0 ? code : code / 1000, code < 0 ? 0 : code % 1000);
    say("%d %s", code, e.getErrorMessage());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "codes") == 0) return print_codes();
  Options o;
  if (!parse_options(argc, argv, o)) return kExitUsage;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGALRM, on_limit);
  alarm(static_cast<unsigned>(o.limit));
  UDT::startup();
  int status = o.serve ? serve(o) : dial(o);
  fflush(stdout);
  // A client that closes right after the last byte may do so before libudt's
  // thread has sent the ACK for it; cleanup waits for that thread. Otherwise
  // every socket is closed and drained by now, and cleanup would only wait a
  // second or more for libudt's garbage collector.
  if (o.mode == "sendfile" && !o.serve) UDT::cleanup();
  _exit(status);
}
