// The bytes peers exchange: a stream made from a 64-bit seed, and the digest
// both ends compare. The Go tests hold the same two functions.

#ifndef UDTPEER_PATTERN_H
#define UDTPEER_PATTERN_H

#include <cstddef>
#include <cstdint>

// Pattern is xorshift64* over a state spread by one splitmix64 step, so that
// seeds 0, 1, 2 give unrelated streams. Each 64-bit output is eight bytes of
// the stream, lowest byte first.
class Pattern {
 public:
  explicit Pattern(uint64_t seed) {
    uint64_t z = seed + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    state_ = z ^ (z >> 31);
    if (state_ == 0) state_ = 1;  // the one state xorshift cannot leave
  }

  void fill(char* p, size_t n) {
    while (n > 0) {
      if (left_ == 0) step();
      if (left_ == 8 && n >= 8) {
        for (int i = 0; i < 8; ++i) p[i] = static_cast<char>(word_ >> (8 * i));
        left_ = 0;
        p += 8;
        n -= 8;
        continue;
      }
      *p++ = static_cast<char>(word_);
      word_ >>= 8;
      --left_;
      --n;
    }
  }

 private:
  void step() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    word_ = state_ * 0x2545f4914f6cdd1du;
    left_ = 8;
  }

  uint64_t state_ = 0;
  uint64_t word_ = 0;
  int left_ = 0;
};

// Fnv is the 64-bit FNV-1a digest.
class Fnv {
 public:
  void add(const char* p, size_t n) {
    for (size_t i = 0; i < n; ++i)
      sum_ = (sum_ ^ static_cast<unsigned char>(p[i])) * 0x100000001b3u;
  }
  uint64_t sum() const { return sum_; }

 private:
  uint64_t sum_ = 0xcbf29ce484222325u;
};

#endif
