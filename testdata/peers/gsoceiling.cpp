// gsoceiling: what UDP with GSO and GRO carries on this machine when nothing is
// done beyond what no protocol can do without. The sender writes a header and
// copies the payload into every packet; the receiver reads the header and
// copies the payload out. Nothing is acknowledged, paced or sent again, so the
// receiver's rate is a ceiling. See kUsage.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace {

const char kUsage[] =
    "usage: gsoceiling probe\n"
    "       gsoceiling serve [--no-copy]\n"
    "       gsoceiling dial PORT SECONDS [--no-copy]\n"
    "\n"
    "Over 127.0.0.1, packets of 1500 bytes with IP and UDP headers. serve prints\n"
    "\"listening PORT\", and after the sender's end \"total key=value ...\", as dial does.\n"
    "With --no-copy only headers are written and read. probe ends with 3 where the\n"
    "kernel lacks GSO or GRO. serve gives up after 15 s without a packet.\n"
    "\n"
    "exit status: 0 done, 1 a call failed or the other end is gone, 2 usage, 3 no GSO or GRO\n";

const int kExitFailed = 1, kExitUsage = 2, kExitLacking = 3;

const size_t kSegment = 1500 - 28;   // UDP payload of a packet
const size_t kRun = 65507 / kSegment;  // packets a send call, as many as one datagram's length allows
const size_t kBatch = 8;             // super-buffers a receive call
const size_t kSuper = 65536;
const size_t kBlock = 256 << 10;     // what the application writes and reads again and again
const int kSocketBuffer = 8 << 20;   // as udtcp asks for

// Written before every payload; 16 bytes, as UDT's.
struct Header {
  uint32_t kind, sequence, time, id;
};
static_assert(sizeof(Header) == 16);
const uint32_t kData = 0, kEnd = 1;

const size_t kPayload = kSegment - sizeof(Header);

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

int complain(const char* what) {
  fprintf(stderr, "gsoceiling: %s: %s\n", what, strerror(errno));
  return kExitFailed;
}

// Walks a block of the application's memory round and round.
class Block {
 public:
  Block() : bytes_(kBlock, 0x5a) {}
  char* next() {
    if (at_ + kPayload > bytes_.size()) at_ = 0;
    char* p = bytes_.data() + at_;
    at_ += kPayload;
    return p;
  }

 private:
  std::vector<char> bytes_;
  size_t at_ = 0;
};

sockaddr_in loopback(int port) {
  sockaddr_in a = {};
  a.sin_family = AF_INET;
  a.sin_port = htons(static_cast<uint16_t>(port));
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

// A socket on a free port with GSO for what it sends and GRO for what it gets;
// -1 with errno where that cannot be had.
int open_socket() {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return -1;
  int size = kSocketBuffer, segment = kSegment, on = 1;
  sockaddr_in any = loopback(0);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0 ||
      setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0 ||
      setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) < 0 ||
      bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) < 0) {
    int e = errno;
    close(fd);
    errno = e;
    return -1;
  }
  return fd;
}

bool set_timeout(int fd, int milliseconds) {
  timeval t = {milliseconds / 1000, milliseconds % 1000 * 1000};
  return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) == 0;
}

void report(uint64_t packets, uint64_t lost, double seconds) {
  rusage ru = {};
  getrusage(RUSAGE_SELF, &ru);
  auto cpu = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  uint64_t bytes = packets * kPayload;
  printf("total bytes=%llu packets=%llu lost=%llu seconds=%.6f mbps=%.3f cpu_user=%.3f cpu_system=%.3f\n",
         static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(packets),
         static_cast<unsigned long long>(lost), seconds,
         seconds > 0 ? static_cast<double>(bytes) * 8 / seconds / 1e6 : 0, cpu(ru.ru_utime), cpu(ru.ru_stime));
}

// Receives super-buffers, counts their packets and copies each payload out.
class Receiver {
 public:
  explicit Receiver(bool copies) : copies_(copies), memory_(kBatch * kSuper) {
    for (size_t i = 0; i < kBatch; ++i) {
      parts_[i] = {memory_.data() + i * kSuper, kSuper};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
      messages_[i].msg_hdr.msg_control = control_[i];
      messages_[i].msg_hdr.msg_name = &from_[i];
    }
  }

  // Takes one batch. False when nothing came in time or the call failed.
  bool step(int fd) {
    for (size_t i = 0; i < kBatch; ++i) {
      messages_[i].msg_hdr.msg_controllen = sizeof control_[i];
      messages_[i].msg_hdr.msg_namelen = sizeof from_[i];
    }
    int n = recvmmsg(fd, messages_, kBatch, MSG_WAITFORONE, nullptr);
    if (n <= 0) return n < 0 && errno == EINTR;
    for (int i = 0; i < n; ++i) {
      peer = from_[i];
      walk(static_cast<const char*>(parts_[i].iov_base), messages_[i].msg_len, stride(messages_[i].msg_hdr));
    }
    return true;
  }

  uint64_t packets = 0, lost = 0;
  bool ended = false;
  Clock::time_point first, last;
  sockaddr_in peer = {};

 private:
  static size_t stride(msghdr& m) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
      if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
      int size;
      memcpy(&size, CMSG_DATA(c), sizeof size);
      return static_cast<size_t>(size);
    }
    return kSuper;
  }

  void walk(const char* p, size_t n, size_t step) {
    for (size_t size; n >= sizeof(Header); p += size, n -= size) {
      size = std::min(n, step);
      if (size < sizeof(Header)) return;
      Header h;
      memcpy(&h, p, sizeof h);
      if (h.kind == kEnd) {
        ended = true;
        return;
      }
      if (size != kSegment) continue;  // not ours
      if (packets == 0) first = Clock::now();
      lost += h.sequence - expected_;  // over loopback nothing is reordered
      expected_ = h.sequence + 1;
      ++packets;
      if (copies_) memcpy(block_.next(), p + sizeof h, kPayload);
    }
    if (!ended) last = Clock::now();
  }

  const bool copies_;
  uint32_t expected_ = 0;
  Block block_;
  std::vector<char> memory_;
  iovec parts_[kBatch] = {};
  mmsghdr messages_[kBatch] = {};
  sockaddr_in from_[kBatch] = {};
  alignas(cmsghdr) char control_[kBatch][CMSG_SPACE(sizeof(int))];
};

int serve(bool copies) {
  int fd = open_socket();
  if (fd < 0 || !set_timeout(fd, 15000)) return complain("socket");
  sockaddr_in at = {};
  socklen_t len = sizeof at;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&at), &len) < 0) return complain("getsockname");
  printf("listening %d\n", ntohs(at.sin_port));
  fflush(stdout);
  Receiver r(copies);
  while (!r.ended)
    if (!r.step(fd)) return complain("recvmmsg");
  // The sender asks until it hears this; one of these gets through or it gives up.
  Header bye = {kEnd, 0, 0, 0};
  for (int i = 0; i < 3; ++i)
    if (sendto(fd, &bye, sizeof bye, 0, reinterpret_cast<sockaddr*>(&r.peer), sizeof r.peer) < 0 && errno != ECONNREFUSED)
      return complain("sendto");
  report(r.packets, r.lost, std::chrono::duration<double>(r.last - r.first).count());
  return r.packets > 0 ? 0 : kExitFailed;
}

// Says that it is over until the receiver answers.
bool say_end(int fd) {
  Header end = {kEnd, 0, 0, 0}, answer;
  if (!set_timeout(fd, 20)) return false;
  for (int i = 0; i < 250; ++i) {
    if (send(fd, &end, sizeof end, 0) < 0) return false;
    if (recv(fd, &answer, sizeof answer, 0) >= static_cast<ssize_t>(sizeof answer)) return true;
    if (errno != EAGAIN && errno != EINTR) return false;
  }
  errno = ETIMEDOUT;
  return false;
}

int dial(int port, double seconds, bool copies) {
  int fd = open_socket();
  if (fd < 0) return complain("socket");
  sockaddr_in to = loopback(port);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) return complain("connect");
  std::vector<char> run(kRun * kSegment);
  Block block;
  uint32_t sequence = 0;
  uint64_t packets = 0;
  Clock::time_point start = Clock::now();
  while (seconds_since(start) < seconds) {
    char* p = run.data();
    for (size_t i = 0; i < kRun; ++i, p += kSegment) {
      Header h = {kData, sequence++, 0, 1};
      memcpy(p, &h, sizeof h);
      if (copies) memcpy(p + sizeof h, block.next(), kPayload);
    }
    ssize_t n = send(fd, run.data(), run.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return complain("send");
    packets += kRun;
  }
  double took = seconds_since(start);
  if (!say_end(fd)) return complain("the receiver does not answer");
  report(packets, 0, took);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  bool copies = true;
  if (!words.empty() && words.back() == "--no-copy") {
    copies = false;
    words.pop_back();
  }
  if (words.size() == 1 && words[0] == "probe") {
    if (open_socket() >= 0) return 0;
    complain("no GSO or GRO here");
    return kExitLacking;
  }
  if (words.size() == 1 && words[0] == "serve") return serve(copies);
  if (words.size() == 3 && words[0] == "dial" && atoi(words[1].c_str()) > 0 && atof(words[2].c_str()) > 0)
    return dial(atoi(words[1].c_str()), atof(words[2].c_str()), copies);
  fputs(kUsage, stderr);
  return kExitUsage;
}
