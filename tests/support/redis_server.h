// Real redis-server processes on loopback for tests: one server, or a Cluster of 3 primaries with a replica
// each or none; plain, or TLS with client certificates and AUTH. A test begins with CACHECLIP_NEEDS_REDIS(),
// which skips it where redis-server is not installed, but fails it when CI is set in the environment. Servers
// keep nothing on disk unless settings say so, and are killed when the object goes. Belongs to one test; the
// paths of the programs come from PATH.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/redis/redis_client.h"
#include "tests/support/subprocess.h"
#include "tests/support/temp_folder.h"

#define CACHECLIP_NEEDS_REDIS()                                                         \
  if (::cacheclip::FindProgram("redis-server").empty()) {                               \
    if (std::getenv("CI") != nullptr) FAIL() << "redis-server must be installed in CI"; \
    GTEST_SKIP() << "redis-server is not installed: apt-get install redis-server";      \
  }

namespace cacheclip {

std::string FindProgram(std::string_view name);  // "" when PATH does not have it
int FreePort();                                  // nobody listens on it now

// A certificate authority with a certificate for 127.0.0.1 and localhost; made by openssl once per test
// program.
struct TestCertificates {
  std::string ca, certificate, key;  // files
  std::string other_ca;              // an authority that signed nothing
};
const TestCertificates& GetTestCertificates();

struct RedisServerOptions {
  bool tls = false;                   // with client certificates
  std::string user, password;         // AUTH; without a user, the default user's password
  std::vector<std::string> settings;  // further lines of redis.conf: "maxmemory 20mb"
};

class RedisServer {
 public:
  explicit RedisServer(
      RedisServerOptions options = {});             // answers PING when this returns; aborts if it never does
  RedisClientOptions client_options() const;        // everything needed to reach it
  std::unique_ptr<RedisClient> MakeClient() const;  // as administrator, patient
  std::string url() const;                          // redis://… without password

  void Kill();     // SIGKILL; its data is gone
  void Restart();  // on the same port, answers when this returns
  void Pause();    // SIGSTOP: accepts connections, never answers
  void Resume();
  bool IsReady() const;  // answers PING
  void Start();          // Restart() without waiting
  int port() const { return port_; }

 private:
  std::string Configuration() const;

  const RedisServerOptions options_;
  TempFolder folder_;
  const int port_;
  std::unique_ptr<Subprocess> process_;
};

class RedisCluster {
 public:
  static constexpr int kPrimaries = 3;
  // When it returns, all slots are covered and replicas in sync. With AUTH, MigrateSlotOf() does not work.
  explicit RedisCluster(std::vector<std::string> settings = {})
      : RedisCluster({.settings = std::move(settings)}, 1) {}
  RedisCluster(RedisServerOptions options, int replicas_per_primary);
  RedisClientOptions client_options() const;
  std::unique_ptr<RedisClient> MakeClient() const;

  RedisServer& PrimaryOf(std::string_view key);
  RedisServer& node(int index) { return *nodes_[index]; }
  int num_nodes() const { return static_cast<int>(nodes_.size()); }
  bool IsHealthy();  // every node that runs says that all slots are served by a primary with all nodes known
  // Moves the slot of `key` to another primary while clients go on; `step` runs half-way, when the slot is
  // migrating.
  void MigrateSlotOf(
      std::string_view key, const std::function<void()>& step = [] {});

 private:
  std::string NodeId(RedisServer& node);
  RedisReply Ask(RedisServer& node, std::vector<std::string> args);
  void Create(const RedisServerOptions& options, int replicas_per_primary);

  TempFolder folder_;
  std::vector<std::unique_ptr<RedisServer>> nodes_;
};

}  // namespace cacheclip
