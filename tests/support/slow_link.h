// A network between a client and a TCP server that a test makes slow: limited bandwidth, added latency, or
// nothing gets through any more. A toxiproxy-server process on loopback, from $CACHECLIP_CACHE/go-bin
// (tools/setup/test_servers.sh), killed with the object. Connections that exist feel a change too. Belongs to
// one test; not thread-safe.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "tests/support/subprocess.h"
#include "tests/support/temp_folder.h"

#define CACHECLIP_NEEDS_SLOW_LINK()                                                                        \
  if (!::cacheclip::SlowLink::IsInstalled()) {                                                             \
    if (std::getenv("CI") != nullptr) FAIL() << "toxiproxy is not installed: tools/setup/test_servers.sh"; \
    GTEST_SKIP() << "toxiproxy is not installed: tools/setup/test_servers.sh";                             \
  }

namespace cacheclip {

class SlowLink {
 public:
  static bool IsInstalled();

  explicit SlowLink(int server_port);  // on loopback; fast until told otherwise
  int port() const { return port_; }   // what the client connects to

  // Each replaces what was in force before. They abort the test program if toxiproxy refuses.
  void LimitTo(int64_t bytes_per_second);  // of what the server sends
  void Delay(int milliseconds);            // everything the server sends
  void Stall();                            // what the server sends gets lost, connections stay open
  void Restore();                          // fast again

 private:
  void Set(const std::string& type, const std::string& attributes);
  long Call(const std::string& method, const std::string& path, const std::string& body) const;

  TempFolder folder_;
  const int control_port_, port_;
  std::unique_ptr<Subprocess> process_;
  bool has_toxic_ = false;
};

}  // namespace cacheclip
