#include "session.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include "link.h"
#include "pattern.h"
#include "sendfile.h"

namespace {

using Clock = std::chrono::steady_clock;

const int kExitAborted = 3;

class Session {
 public:
  Session(UDTSOCKET u, int index, const Options& o)
      : link_(u, o), o_(o), index_(index), out_(o.seed + index), expect_(o.rseed + index), start_(Clock::now()) {}

  Result run() {
    if (o_.abort_after == 0) die();
    if (o_.mode == "sink") {
      drain();
      r_.ok = ended() && (o_.bytes < 0 || o_.any || r_.received == o_.bytes);
    } else if (o_.mode == "source") {
      r_.ok = send_all();
    } else if (o_.mode == "echo") {
      echo();
      r_.ok = ended() && r_.sent == r_.received;
    } else if (o_.mode == "both") {
      bool sent = false;
      std::thread sender([&] { sent = send_all(); });
      bool received = receive_all();
      sender.join();
      r_.ok = sent && received;
    } else if (o_.mode == "speakfirst") {
      r_.ok = send_all() && receive_all();
    } else if (o_.mode == "listenfirst") {
      r_.ok = receive_all() && send_all();
    } else if (o_.mode == "talk") {
      r_.ok = talk();
    } else if (o_.mode == "take") {
      r_.ok = receive_all();
    } else if (o_.mode == "sendfile") {
      r_.ok = serve_file(link_.socket(), r_);
    } else if (o_.mode == "recvfile") {
      r_.ok = fetch_file(link_.socket(), o_, r_);
    } else if (o_.mode == "putfile") {
      r_.ok = put_region(link_.socket(), o_, r_);
    } else if (o_.mode == "getfile") {
      r_.ok = get_region(link_.socket(), o_, r_);
    } else if (o_.mode == "hold") {
      wait_for_stdin();
      r_.ok = true;
    } else {
      bad_file();
    }
    if (r_.bad_at >= 0) r_.ok = false;
    bool receiving_only = r_.sent == 0 && r_.received > 0;
    UDT::TRACEINFO perf = {};
    if (UDT::perfmon(link_.socket(), &perf, false) != UDT::ERROR) {
      r_.packets_sent = perf.pktSentTotal;
      r_.retransmitted = perf.pktRetransTotal;
      r_.rtt_ms = perf.msRTT;
    }
    link_.close();
    if (!receiving_only) r_.seconds = elapsed();
    r_.digest_sent = sent_.sum();
    r_.digest_received = received_.sum();
    return r_;
  }

 private:
  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  // How the other side's close looks from here: libudt has no end of stream.
  bool ended() const {
    return r_.code == CUDTException::ECONNLOST || r_.code == CUDTException::EINVSOCK ||
           r_.code == CUDTException::ENOCONN;
  }

  bool talk() {
    for (int64_t n : o_.turns) {
      if (n > 0 ? !send_next(n) : !receive_next(-n)) return false;
    }
    return true;
  }

  bool send_next(int64_t n) {
    std::vector<char> block(n);
    out_.fill(block.data(), block.size());
    sent_.add(block.data(), block.size());
    int code = link_.send(block.data(), static_cast<int>(n));
    if (code != 0) return failed(code);
    r_.sent += n;
    return true;
  }

  bool receive_next(int64_t n) {
    std::vector<char> block(n);
    int got = 0;
    for (int64_t have = 0; have < n; have += got) {
      if (!receive(block.data(), static_cast<int>(n - have), got)) return false;
    }
    return true;
  }

  bool send_all() {
    std::vector<char> block(o_.dgram ? o_.msg : o_.block);
    out_.fill(block.data(), block.size());  // what --raw sends over and over
    bool first = true;
    int64_t left = o_.seconds > 0 ? INT64_MAX : o_.bytes;
    while (left > 0 && (o_.seconds == 0 || elapsed() < o_.seconds)) {
      int n = static_cast<int>(std::min<int64_t>(left, block.size()));
      if (!first && !o_.raw) out_.fill(block.data(), n);
      first = false;
      if (!o_.raw) sent_.add(block.data(), n);
      int code = link_.send(block.data(), n);
      if (code != 0) return failed(code);
      left -= n;
      r_.sent += n;
      ++r_.messages;
      passed(n);
    }
    return true;
  }

  bool receive_all() {
    std::vector<char> block(o_.block);
    while (r_.received < o_.bytes) {
      maybe_stall();
      int n = static_cast<int>(std::min<int64_t>(o_.bytes - r_.received, block.size()));
      if (!receive(block.data(), n, n)) return false;
    }
    return true;
  }

  void drain() {
    std::vector<char> block(o_.dgram ? std::max(o_.block, o_.msg) : o_.block);
    int n;
    do {
      maybe_stall();
    } while (receive(block.data(), static_cast<int>(block.size()), n) ||
             // A recvmsg that waited fails as soon as the peer has closed; what is there can still be read.
             (o_.dgram && receive(block.data(), static_cast<int>(block.size()), n)));
  }

  void echo() {
    std::vector<char> block(o_.block);
    int n;
    while (receive(block.data(), static_cast<int>(block.size()), n)) {
      sent_.add(block.data(), n);
      int code = link_.send(block.data(), n);
      if (code != 0) {
        failed(code);
        return;
      }
      r_.sent += n;
    }
  }

  bool receive(char* p, int room, int& got) {
    int code = link_.recv(p, room, got);
    if (code != 0) return failed(code);
    if (!o_.raw) received_.add(p, got);
    if (o_.check && o_.any) find(p, got);
    else if (o_.check) compare(p, got);
    r_.received += got;
    if (o_.dgram) ++r_.messages;
    r_.seconds = elapsed();
    passed(got);
    return true;
  }

  void compare(const char* p, int n) {
    want_.resize(n);
    expect_.fill(want_.data(), n);
    auto diff = std::mismatch(want_.begin(), want_.end(), p);
    if (diff.first != want_.end() && r_.bad_at < 0) r_.bad_at = r_.received + (diff.first - want_.begin());
  }

  // Looks a message up among those the peer may send; each is there once.
  void find(const char* p, int n) {
    if (r_.messages == 0) {
      for (int64_t left = o_.bytes; left > 0; left -= o_.msg) {
        want_.resize(std::min<int64_t>(left, o_.msg));
        expect_.fill(want_.data(), want_.size());
        may_come_.insert(digest(want_.data(), want_.size()));
      }
    }
    auto at = may_come_.find(digest(p, n));
    if (at == may_come_.end()) {
      if (r_.bad_at < 0) r_.bad_at = r_.received;
    } else {
      may_come_.erase(at);
    }
  }

  static uint64_t digest(const char* p, size_t n) {
    Fnv sum;
    sum.add(p, n);
    return sum.sum();
  }

  bool failed(int code) {
    r_.code = code;
    return false;
  }

  // recvfile opens its path itself and tells the peer when it cannot.
  void bad_file() {
    int64_t offset = 0;
    if (UDT::recvfile2(link_.socket(), "/nonexistent/udtpeer", &offset, 1 << 20) == UDT::ERROR)
      failed(UDT::getlasterror_code());
    r_.ok = r_.code != 0;
    wait_for_stdin();
  }

  void passed(int n) {
    int64_t before = passed_.fetch_add(n), now = before + n;
    if (o_.mark >= 0 && before < o_.mark && now >= o_.mark) say("mark index=%d bytes=%lld", index_, static_cast<long long>(now));
    if (o_.abort_after >= 0 && now >= o_.abort_after) die();
  }

  void maybe_stall() {
    if (o_.stall_at < 0 || stalled_ || r_.received < o_.stall_at) return;
    stalled_ = true;
    say("stalled index=%d bytes=%lld", index_, static_cast<long long>(r_.received));
    wait_for_stdin();
  }

  void wait_for_stdin() {
    char c = 0;
    while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n') {
    }
  }

  [[noreturn]] void die() {
    say("aborting index=%d", index_);
    _exit(kExitAborted);
  }

  Link link_;
  const Options& o_;
  int index_;
  Pattern out_, expect_;
  Fnv sent_, received_;
  std::vector<char> want_;
  std::unordered_multiset<uint64_t> may_come_;  // digests
  std::atomic<int64_t> passed_{0};
  bool stalled_ = false;
  Clock::time_point start_;
  Result r_;
};

}  // namespace

Result run_session(int udt_socket, int index, const Options& o) {
  say("connected index=%d", index);
  return Session(udt_socket, index, o).run();
}

void say(const char* format, ...) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  va_list args;
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  putchar('\n');
  fflush(stdout);
}
