#include "services/cacheclip/store_bench/redis_process.h"

#include <gtest/gtest.h>

#include <signal.h>

#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

TEST(RedisProcess, AnswersWhileItLivesAndIsGoneAfterwards) {
  CACHECLIP_NEEDS_REDIS();
  auto process = RedisProcess::Start(64 << 20);
  ASSERT_TRUE(process.ok()) << process.status();
  const pid_t pid = (*process)->pid();
  const auto client = MakeRedisClient(ParseRedisUrl((*process)->url()).value()).value();
  EXPECT_TRUE(client->Execute({.args = {"PING"}, .key_index = 0}).ok());
  process->reset();
  EXPECT_EQ(::kill(pid, 0), -1) << "it has ended and was waited for";
}

}  // namespace
}  // namespace cacheclip
