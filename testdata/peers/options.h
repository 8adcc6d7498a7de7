// Command line of udtpeer.

#ifndef UDTPEER_OPTIONS_H
#define UDTPEER_OPTIONS_H

#include <cstdint>
#include <string>
#include <vector>

struct Options {
  bool serve = false;        // serve or dial
  std::string host;          // dial: peer; serve: address to bind
  std::string port = "0";    // dial: peer's port; serve: port to bind, 0 picks one
  std::string mode = "sink";
  bool dgram = false;        // message sockets (type 2) in place of streams
  int64_t bytes = -1;        // to send and, where a mode knows its end, to receive; -1 none
  double seconds = 0;        // source: stop after this time instead of after bytes
  uint64_t seed = 1;         // of what we send, plus the connection's index
  bool check = false;        // compare what comes with rseed plus the index
  uint64_t rseed = 0;
  bool raw = false;          // benchmark: neither generate nor digest
  std::vector<int64_t> turns;  // talk: bytes to send, negative: to receive
  std::string name, file;    // recvfile: what to ask for, where to write it; putfile, getfile: the file
  int64_t offset = 0;        // putfile, getfile: where in the file
  bool custom = false;       // answer user-defined control packets
  int conns = 1;
  int threads = 0;           // dial: this many make the connections, each its share; 0 one for each
  bool share = false;        // dial: all connections from one UDP port
  bool rendezvous = false;   // dial: HOST PORT dials us as well
  std::string from = "0";    // rendezvous: our port, 0 picks one
  bool wait = false;         // rendezvous: dial only after a line or EOF on stdin
  bool nonblock = false;     // non-blocking connect, send and receive over UDT's epoll
  int backlog = 128;
  int block = 145600;        // bytes a send or recv call, 100 full packets at MSS 1500
  int msg = 4000;            // dgram: bytes a message
  int ttl = -1;              // dgram: milliseconds
  bool inorder = false;      // dgram
  bool any = false;          // dgram: what is checked may come in any order, or not at all
  int64_t mark = -1;         // print a line when this many bytes have passed
  int64_t abort_after = -1;  // die without shutdown when this many bytes have passed
  int64_t stall_at = -1;     // stop receiving here until a line or EOF on stdin
  int mss = 0, fc = 0, sndbuf = 0, rcvbuf = 0, udpsnd = 0, udprcv = 0;  // 0: libudt's default
  int64_t maxbw = 0;         // bytes a second
  int linger = -1;           // seconds; -1 libudt's default of 180
  int limit = 60;            // seconds after which the whole program gives up
};

// Fills o from argv; prints what is wrong and returns false on bad usage.
bool parse_options(int argc, char** argv, Options& o);

#endif
