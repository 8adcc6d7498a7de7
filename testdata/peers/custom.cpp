#include "custom.h"

#include <udt/ccc.h>
#include <udt/packet.h>
#include <udt/udt.h>

#include <cstdint>
#include <cstdio>
#include <vector>

#include "session.h"

namespace {

const int kUserType = 0x7FFF;

class Answering : public CUDTCC {
 public:
  void processCustomMsg(const CPacket* p) override {
    const uint32_t* data = reinterpret_cast<const uint32_t*>(p->m_pcData);
    std::vector<uint32_t> words(data, data + p->getLength() / sizeof(uint32_t));
    int32_t kind = p->getExtendedType();
    char text[256] = "";
    int n = 0;
    for (uint32_t w : words) {
      if (n < 200) n += snprintf(text + n, sizeof text - n, " %08x", w);
    }
    say("custom kind=%d words=%zu%s", kind, words.size(), text);
    CPacket answer;
    kind++;
    answer.pack(kUserType, &kind, words.data(), static_cast<int>(words.size() * sizeof(uint32_t)));
    sendCustomMsg(answer);
  }
};

}  // namespace

bool answer_custom(int udt_socket) {
  CCCFactory<Answering> factory;
  return UDT::setsockopt(udt_socket, 0, UDT_CC, &factory, sizeof factory) != UDT::ERROR;
}
