#include "common/redis/cluster_topology.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/redis/cluster_client.h"
#include "tests/support/redis_server.h"
#include "tests/support/scripted_server.h"

namespace cacheclip {
namespace {

// What CLUSTER SLOTS answers when one node has all of them.
std::string AllSlotsAt(int port) {
  return absl::StrCat("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:", port, "\r\n");
}

absl::Time Soon() { return absl::Now() + absl::Seconds(30); }

TEST(ClusterTopology, ManyCallersMakeOneRefresh) {
  std::atomic<int> num_asked{0};
  ScriptedServer server([&](ScriptedConnection& connection) {
    while (!connection.Receive().empty()) {
      ++num_asked;
      connection.Send(AllSlotsAt(1234));
    }
  });
  RedisClientOptions options;
  options.endpoints = {{"127.0.0.1", server.port()}};
  ClusterTopology topology(options, nullptr);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { EXPECT_TRUE(topology.Slots(Soon()).ok()); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_asked, 1);
  EXPECT_EQ(*topology.Slots(Soon()).value()->PrimaryOf(5), (RedisEndpoint{"127.0.0.1", 1234}));
  topology.NoteMoved(5, {"127.0.0.1", 4321});
  EXPECT_EQ(topology.Slots(Soon()).value()->PrimaryOf(5)->port, 4321);
}

TEST(ClusterTopology, AsksTheNextEndpointWhenOneIsAway) {
  ScriptedServer server([](ScriptedConnection& connection) {
    while (!connection.Receive().empty()) connection.Send(AllSlotsAt(1));
  });
  RedisClientOptions options;
  options.endpoints = {{"127.0.0.1", FreePort()}, {"127.0.0.1", server.port()}};
  EXPECT_TRUE(ClusterTopology(options, nullptr).Slots(Soon()).ok());
  options.endpoints.pop_back();
  ClusterTopology gone(options, nullptr);
  EXPECT_FALSE(gone.is_unreachable()) << "nobody has asked yet";
  EXPECT_TRUE(absl::IsUnavailable(gone.Slots(Soon()).status()));
  EXPECT_TRUE(gone.is_unreachable());
}

// Two nodes that send a command to each other for ever.
TEST(ClusterTopology, RedirectionsAreBounded) {
  std::atomic<int> other_port{0}, num_redirects{0};
  const auto script = [&](ScriptedConnection& connection) {
    for (std::string wire = connection.Receive(); !wire.empty(); wire = connection.Receive()) {
      const bool asks_for_slots = wire.find("SLOTS") != std::string::npos;
      num_redirects += asks_for_slots ? 0 : 1;
      connection.Send(asks_for_slots ? AllSlotsAt(other_port)
                                     : absl::StrCat("-MOVED 1 127.0.0.1:", other_port.load(), "\r\n"));
    }
  };
  ScriptedServer first(script);
  other_port = first.port();
  RedisClientOptions options;
  options.endpoints = {{"127.0.0.1", first.port()}};
  ClusterClient client(options, nullptr);
  const auto reply = client.Execute({.args = {"GET", "k"}}, {.retry_for = absl::Seconds(60)});
  EXPECT_EQ(RedisErrorCode(reply.status()), "MOVED") << reply.status();
  EXPECT_EQ(num_redirects, ClusterClient::kMaxRedirects + 1);
}

// A node asks the client to try another one, for this command only, after ASKING.
TEST(ClusterTopology, AskIsFollowedWithAsking) {
  std::atomic<int> importing_port{0};
  std::atomic<bool> was_asking{false};
  ScriptedServer importing([&](ScriptedConnection& connection) {
    std::string wire = connection.Receive();
    was_asking = wire.find("ASKING") != std::string::npos;
    while (wire.find("GET") == std::string::npos) wire += connection.Receive();
    connection.Send("+OK\r\n$1\r\nv\r\n");
    connection.Receive();
  });
  importing_port = importing.port();
  std::atomic<int> own_port{0};
  ScriptedServer migrating([&](ScriptedConnection& connection) {
    for (std::string wire = connection.Receive(); !wire.empty(); wire = connection.Receive())
      connection.Send(wire.find("SLOTS") != std::string::npos
                          ? AllSlotsAt(own_port)
                          : absl::StrCat("-ASK 1 127.0.0.1:", importing_port.load(), "\r\n"));
  });
  own_port = migrating.port();
  RedisClientOptions options;
  options.endpoints = {{"127.0.0.1", migrating.port()}};
  ClusterClient client(options, nullptr);
  const auto reply = client.Execute({.args = {"GET", "k"}});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text, "v");
  EXPECT_TRUE(was_asking);
}

}  // namespace
}  // namespace cacheclip
