#include "common/redis/node_scan.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/support/redis_server.h"
#include "tests/support/scripted_server.h"

namespace cacheclip {
namespace {

TEST(NodeScan, VisitsPageAfterPageUntilTheVisitorHasEnough) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer server;
  const auto client = server.MakeClient();
  std::vector<RedisCommand> sets;
  for (int i = 0; i < 3000; ++i) sets.push_back({.args = {"SET", "k" + std::to_string(i), "v"}});
  client->Pipeline(sets);
  NodePool node({"127.0.0.1", server.port()}, server.client_options(), nullptr);
  std::set<std::string> keys;
  const auto visit = [&](const std::string& key) { return keys.insert(key), true; };
  EXPECT_TRUE(ScanNode(node, "k*", visit, absl::InfiniteFuture()).value());
  EXPECT_EQ(keys.size(), 3000);
  int num_visited = 0;
  EXPECT_FALSE(ScanNode(
                   node, "*", [&](const std::string&) { return ++num_visited < 5; }, absl::InfiniteFuture())
                   .value());
  EXPECT_EQ(num_visited, 5);
}

TEST(NodeScan, AnswerOfAnotherShapeIsAnError) {
  ScriptedServer server([](ScriptedConnection& connection) {
    connection.Receive();
    connection.Send("*1\r\n$1\r\n0\r\n");
    connection.Receive();
  });
  NodePool node({"127.0.0.1", server.port()}, {}, nullptr);
  const auto visit = [](const std::string&) { return true; };
  EXPECT_TRUE(absl::IsInternal(ScanNode(node, "*", visit, absl::InfiniteFuture()).status()));
}

TEST(NodeScan, EndpointsAreJoinedForMessages) {
  const RedisEndpoint endpoints[] = {{"a", 1}, {"::1", 2}};
  EXPECT_EQ(JoinEndpoints(endpoints), "a:1,[::1]:2");
}

}  // namespace
}  // namespace cacheclip
