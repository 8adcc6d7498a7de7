#include "sendfile.h"

#include <udt/udt.h>

#include <cstdint>
#include <cstdio>
#include <fstream>

namespace {

const int kLongestName = 1023;

bool failed(Result& r) {
  r.code = UDT::getlasterror_code();
  return false;
}

bool recv_once(UDTSOCKET u, char* p, int n, const char* what, Result& r) {
  int got = UDT::recv(u, p, n, 0);
  if (got == UDT::ERROR) return failed(r);
  if (got == n) return true;
  fprintf(stderr, "udtpeer: %s: %d of %d bytes in one receive call\n", what, got, n);
  return false;
}

bool send_once(UDTSOCKET u, const char* p, int n, Result& r) {
  int sent = UDT::send(u, p, n, 0);
  if (sent == UDT::ERROR) return failed(r);
  return sent == n;
}

// Integers travel as they lie in memory; this runs on little-endian machines.
template <typename T>
char* bytes(T& v) {
  return reinterpret_cast<char*>(&v);
}

}  // namespace

bool serve_file(int udt_socket, Result& r) {
  int32_t length = 0;
  if (!recv_once(udt_socket, bytes(length), sizeof length, "length", r)) return false;
  if (length < 1 || length > kLongestName) return false;
  char name[kLongestName + 1] = {};
  if (!recv_once(udt_socket, name, length, "name", r)) return false;

  std::fstream file(name, std::ios::in | std::ios::binary);
  int64_t size = -1, offset = 0;
  if (file) {
    file.seekg(0, std::ios::end);
    size = static_cast<int64_t>(file.tellg());
  }
  if (!send_once(udt_socket, bytes(size), sizeof size, r)) return false;
  if (size < 0) return true;
  int64_t sent = UDT::sendfile(udt_socket, file, offset, size);
  if (sent == UDT::ERROR) return failed(r);
  r.sent = sent;
  return sent == size;
}

bool fetch_file(int udt_socket, const Options& o, Result& r) {
  int32_t length = static_cast<int32_t>(o.name.size());
  if (!send_once(udt_socket, bytes(length), sizeof length, r)) return false;
  if (!send_once(udt_socket, o.name.data(), length, r)) return false;

  int64_t size = 0, offset = 0;
  if (!recv_once(udt_socket, bytes(size), sizeof size, "size", r)) return false;
  if (size < 0) {
    say("absent size=%lld", static_cast<long long>(size));
    return true;
  }
  std::fstream file(o.file, std::ios::out | std::ios::binary | std::ios::trunc);
  int64_t got = UDT::recvfile(udt_socket, file, offset, size);
  if (got == UDT::ERROR) return failed(r);
  r.received = got;
  file.close();
  return got == size && !file.fail();
}

bool put_region(int udt_socket, const Options& o, Result& r) {
  int64_t offset = o.offset;
  int64_t sent = UDT::sendfile2(udt_socket, o.file.c_str(), &offset, o.bytes, o.block);
  if (sent == UDT::ERROR) return failed(r);
  r.sent = sent;
  return sent == o.bytes && offset == o.offset + sent;
}

bool get_region(int udt_socket, const Options& o, Result& r) {
  int64_t offset = o.offset;
  int64_t got = UDT::recvfile2(udt_socket, o.file.c_str(), &offset, o.bytes, o.block);
  if (got == UDT::ERROR) return failed(r);
  r.received = got;
  return got == o.bytes && offset == o.offset + got;
}
