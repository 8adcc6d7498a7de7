#include "options.h"

#include <getopt.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace {

const char kUsage[] =
    "usage: udtpeer serve [flags]\n"
    "       udtpeer dial HOST PORT [flags]\n"
    "       udtpeer codes    libudt's error codes and their texts\n"
    "\n"
    "A libudt endpoint for tests and benchmarks. The first line on stdout of serve is\n"
    "\"listening PORT\"; each connection prints \"connected index=I\" when it stands and one\n"
    "\"conn key=value ...\" line when it is over; the last line is \"total key=value ...\".\n"
    "\n"
    "modes (--mode):\n"
    "  sink         receive until the peer closes (default)\n"
    "  source       send --bytes, or for --seconds, then close\n"
    "  echo         send back whatever comes until the peer closes\n"
    "  both         send --bytes and receive --bytes at the same time, then close\n"
    "  speakfirst   send --bytes, then receive --bytes, then close\n"
    "  listenfirst  receive --bytes, then send --bytes, then close\n"
    "  talk         send and receive by turns as --turns says, then close\n"
    "  take         receive --bytes, then close without waiting for the peer\n"
    "  hold         neither send nor receive; close when stdin gives a line or ends\n"
    "  sendfile     serve one file as UDT4's sendfile program does\n"
    "  recvfile     fetch --name into --file as UDT4's recvfile program does\n"
    "  putfile      libudt's sendfile of --bytes of --file, from --offset on; then close\n"
    "  getfile      libudt's recvfile of --bytes into a new --file, from --offset on; then close\n"
    "  badfile      libudt's recvfile into a path that cannot exist (sends a peer error)\n"
    "\n"
    "what is sent:\n"
    "  --bytes N  --seconds T  --seed S (connection i sends seed S+i)\n"
    "  --rseed R (check what comes against seed R+i)  --raw (no generating, no digest)\n"
    "  --block N (bytes a call)  --dgram  --msg N  --ttl MS  --inorder\n"
    "  --any (dgram: with --rseed, each message of --msg bytes of the --bytes at most once, in any order)\n"
    "  --turns N,-M,... (talk: send N bytes, receive M, ...)  --name NAME  --file PATH (recvfile)\n"
    "  --offset N  --custom (answer user-defined control packets, print \"custom kind=K ...\")\n"
    "how:\n"
    "  --conns K (at the same time)  --threads T (dial: T of them make the connections, each\n"
    "  its share, and serve them in turn)  --share (dial: from one UDP port)  --nonblock\n"
    "  --rendezvous (dial: HOST PORT dials us as well; prints \"bound PORT\" first)\n"
    "  --from PORT (our port)  --wait (dial only after a line or EOF on stdin)\n"
    "  --bind HOST --port P --backlog N (serve)  --linger S\n"
    "  --mss N  --fc PACKETS  --sndbuf N  --rcvbuf N  --udpsnd N  --udprcv N  --bw BYTES/S\n"
    "steering:\n"
    "  --mark N         print \"mark index=I\" once N bytes have passed\n"
    "  --stall-at N     print \"stalled index=I\" after N bytes and wait for stdin\n"
    "  --abort-after N  die without a shutdown packet after N bytes (exit status 3)\n"
    "  --limit S        give up after S seconds (default 60, exit status 4)\n"
    "\n"
    "exit status: 0 all connections did their job, 1 one did not, 2 usage, 3 --abort-after,\n"
    "4 time limit\n";

enum Flag {
  kBytes = 256, kSeconds, kSeed, kRseed, kRaw, kBlock, kDgram, kMsg, kTtl, kInorder, kAny,
  kConns, kThreads, kShare, kRendezvous, kFrom, kWait, kNonblock, kBind, kPort, kBacklog, kLinger, kMss, kFc, kSndbuf, kRcvbuf,
  kUdpsnd, kUdprcv, kBw, kMark, kStallAt, kAbortAfter, kLimit, kMode, kName, kFile, kTurns, kOffset, kCustom,
};

const option kFlags[] = {
    {"mode", required_argument, nullptr, kMode},
    {"bytes", required_argument, nullptr, kBytes},
    {"seconds", required_argument, nullptr, kSeconds},
    {"seed", required_argument, nullptr, kSeed},
    {"rseed", required_argument, nullptr, kRseed},
    {"raw", no_argument, nullptr, kRaw},
    {"block", required_argument, nullptr, kBlock},
    {"dgram", no_argument, nullptr, kDgram},
    {"msg", required_argument, nullptr, kMsg},
    {"ttl", required_argument, nullptr, kTtl},
    {"inorder", no_argument, nullptr, kInorder},
    {"any", no_argument, nullptr, kAny},
    {"conns", required_argument, nullptr, kConns},
    {"threads", required_argument, nullptr, kThreads},
    {"share", no_argument, nullptr, kShare},
    {"rendezvous", no_argument, nullptr, kRendezvous},
    {"from", required_argument, nullptr, kFrom},
    {"wait", no_argument, nullptr, kWait},
    {"nonblock", no_argument, nullptr, kNonblock},
    {"bind", required_argument, nullptr, kBind},
    {"port", required_argument, nullptr, kPort},
    {"backlog", required_argument, nullptr, kBacklog},
    {"linger", required_argument, nullptr, kLinger},
    {"mss", required_argument, nullptr, kMss},
    {"fc", required_argument, nullptr, kFc},
    {"sndbuf", required_argument, nullptr, kSndbuf},
    {"rcvbuf", required_argument, nullptr, kRcvbuf},
    {"udpsnd", required_argument, nullptr, kUdpsnd},
    {"udprcv", required_argument, nullptr, kUdprcv},
    {"bw", required_argument, nullptr, kBw},
    {"mark", required_argument, nullptr, kMark},
    {"stall-at", required_argument, nullptr, kStallAt},
    {"abort-after", required_argument, nullptr, kAbortAfter},
    {"limit", required_argument, nullptr, kLimit},
    {"turns", required_argument, nullptr, kTurns},
    {"name", required_argument, nullptr, kName},
    {"file", required_argument, nullptr, kFile},
    {"offset", required_argument, nullptr, kOffset},
    {"custom", no_argument, nullptr, kCustom},
    {nullptr, 0, nullptr, 0},
};

bool known_mode(const std::string& m) {
  for (const char* k : {"sink", "source", "echo", "both", "speakfirst", "listenfirst", "take", "hold", "badfile",
                        "sendfile", "recvfile", "putfile", "getfile", "talk"})
    if (m == k) return true;
  return false;
}

bool moves_region(const std::string& m) { return m == "putfile" || m == "getfile"; }

bool moves_file(const std::string& m) { return m == "sendfile" || m == "recvfile" || moves_region(m); }

bool number(const char* text, int64_t lowest, int64_t highest, int64_t& out) {
  char* end = nullptr;
  errno = 0;
  long long v = strtoll(text, &end, 0);
  if (errno != 0 || end == text || *end != '\0' || v < lowest || v > highest) {
    fprintf(stderr, "udtpeer: bad number %s\n", text);
    return false;
  }
  out = v;
  return true;
}

bool small(const char* text, int lowest, int& out) {
  int64_t v;
  if (!number(text, lowest, INT32_MAX, v)) return false;
  out = static_cast<int>(v);
  return true;
}

bool seed(const char* text, uint64_t& out) {
  int64_t v;
  if (!number(text, 0, INT64_MAX, v)) return false;
  out = static_cast<uint64_t>(v);
  return true;
}

bool turns(const char* text, std::vector<int64_t>& out) {
  std::stringstream in(text);
  for (std::string turn; std::getline(in, turn, ',');) {
    int64_t v;
    if (!number(turn.c_str(), -INT32_MAX, INT32_MAX, v)) return false;
    out.push_back(v);
  }
  return !out.empty();
}

bool apply(int flag, const char* arg, Options& o) {
  int64_t v;
  switch (flag) {
    case kMode: o.mode = arg; return known_mode(o.mode);
    case kBytes: return number(arg, 0, INT64_MAX, o.bytes);
    case kSeconds: o.seconds = strtod(arg, nullptr); return o.seconds > 0;
    case kSeed: return seed(arg, o.seed);
    case kRseed: o.check = true; return seed(arg, o.rseed);
    case kRaw: o.raw = true; return true;
    case kBlock: return small(arg, 1, o.block);
    case kDgram: o.dgram = true; return true;
    case kMsg: return small(arg, 1, o.msg);
    case kTtl: return small(arg, -1, o.ttl);
    case kInorder: o.inorder = true; return true;
    case kAny: o.any = true; return true;
    case kConns: return small(arg, 1, o.conns);
    case kThreads: return small(arg, 1, o.threads);
    case kShare: o.share = true; return true;
    case kRendezvous: o.rendezvous = true; return true;
    case kFrom: o.from = arg; return number(arg, 0, 65535, v);
    case kWait: o.wait = true; return true;
    case kNonblock: o.nonblock = true; return true;
    case kBind: o.host = arg; return true;
    case kPort: o.port = arg; return number(arg, 0, 65535, v);
    case kBacklog: return small(arg, 1, o.backlog);
    case kLinger: return small(arg, 0, o.linger);
    case kMss: return small(arg, 0, o.mss);
    case kFc: return small(arg, 0, o.fc);
    case kSndbuf: return small(arg, 0, o.sndbuf);
    case kRcvbuf: return small(arg, 0, o.rcvbuf);
    case kUdpsnd: return small(arg, 0, o.udpsnd);
    case kUdprcv: return small(arg, 0, o.udprcv);
    case kBw: return number(arg, 0, INT64_MAX, o.maxbw);
    case kMark: return number(arg, 0, INT64_MAX, o.mark);
    case kStallAt: return number(arg, 0, INT64_MAX, o.stall_at);
    case kAbortAfter: return number(arg, 0, INT64_MAX, o.abort_after);
    case kLimit: return small(arg, 1, o.limit);
    case kTurns: return turns(arg, o.turns);
    case kName: o.name = arg; return true;
    case kFile: o.file = arg; return true;
    case kOffset: return number(arg, 0, INT64_MAX, o.offset);
    case kCustom: o.custom = true; return true;
  }
  return false;
}

bool usage() {
  fputs(kUsage, stderr);
  return false;
}

}  // namespace

bool parse_options(int argc, char** argv, Options& o) {
  if (argc < 2) return usage();
  if (strcmp(argv[1], "serve") == 0) {
    o.serve = true;
    o.host = "127.0.0.1";
  } else if (strcmp(argv[1], "dial") != 0) {
    return usage();
  }
  int flag;
  optind = 2;
  while ((flag = getopt_long(argc, argv, "", kFlags, nullptr)) != -1) {
    if (flag == '?' || !apply(flag, optarg, o)) return usage();
  }
  if (!o.serve) {
    if (argc - optind != 2) return usage();
    o.host = argv[optind];
    o.port = argv[optind + 1];
  } else if (argc != optind) {
    return usage();
  }
  if (o.bytes < 0 && o.seconds == 0 && o.mode != "sink" && o.mode != "echo" && o.mode != "hold" && o.mode != "badfile" &&
      o.mode != "talk" && !moves_file(o.mode)) {
    fprintf(stderr, "udtpeer: mode %s needs --bytes%s\n", o.mode.c_str(), o.mode == "source" ? " or --seconds" : "");
    return false;
  }
  if (o.dgram && o.mode != "sink" && o.mode != "source" && o.mode != "talk" && o.mode != "hold") {
    fprintf(stderr, "udtpeer: --dgram knows only sink, source, talk and hold\n");
    return false;
  }
  if (moves_file(o.mode) && o.nonblock) {
    fprintf(stderr, "udtpeer: mode %s blocks\n", o.mode.c_str());
    return false;
  }
  if (o.mode == "talk" && o.turns.empty()) {
    fprintf(stderr, "udtpeer: mode talk needs --turns\n");
    return false;
  }
  if (o.mode == "recvfile" && (o.name.empty() || o.file.empty())) {
    fprintf(stderr, "udtpeer: mode recvfile needs --name and --file\n");
    return false;
  }
  if (moves_region(o.mode) && (o.bytes < 0 || o.file.empty())) {
    fprintf(stderr, "udtpeer: mode %s needs --bytes and --file\n", o.mode.c_str());
    return false;
  }
  return true;
}
