#include "common/redis/reply_status.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/redis/redis_client.h"

namespace cacheclip {
namespace {

TEST(ReplyStatus, CodeSaysWhatToDo) {
  const auto code = [](std::string_view error) { return StatusFromRedisError(error).code(); };
  EXPECT_EQ(code("OOM command not allowed when used memory > 'maxmemory'."),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code("ERR Error running script (call to f_12): @user_script:1: -OOM command not allowed"),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code("ERR max number of clients reached"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code("NOAUTH Authentication required."), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(code("WRONGPASS invalid username-password pair"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(code("ERR invalid password"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(code("NOPERM this user has no permissions"), absl::StatusCode::kPermissionDenied);
  for (const char* passing :
       {"LOADING Redis is loading", "CLUSTERDOWN Hash slot not served", "TRYAGAIN Multiple",
        "READONLY You can't write", "MASTERDOWN Link", "BUSY script", "MISCONF disk"})
    EXPECT_EQ(code(passing), absl::StatusCode::kUnavailable) << passing;
  EXPECT_EQ(code("WRONGTYPE Operation"), absl::StatusCode::kFailedPrecondition);
}

TEST(ReplyStatus, KeepsTheServersWordAlsoWithContext) {
  const absl::Status status = WithContext(StatusFromRedisError("NOSCRIPT No matching script."), "running it");
  EXPECT_EQ(RedisErrorCode(status), "NOSCRIPT");
  EXPECT_EQ(RedisErrorCode(absl::UnavailableError("refused")), "");
}

TEST(ReplyStatus, AReplicaIsKnownAlsoWhereAScriptMetIt) {
  for (const char* error : {"READONLY You can't write against a read only replica.",
                            "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't"}) {
    EXPECT_EQ(ErrorCodeOf(error), "READONLY") << error;
    EXPECT_EQ(RedisErrorCode(StatusFromRedisError(error)), "READONLY") << error;
    EXPECT_TRUE(absl::IsUnavailable(StatusFromRedisError(error))) << error;
  }
  EXPECT_EQ(ErrorCodeOf("MOVED 1 h:1"), "MOVED");
}

TEST(ReplyStatus, RedirectsNameSlotAndNode) {
  const auto moved = ParseRedirect("MOVED 3999 127.0.0.1:6381");
  ASSERT_TRUE(moved.has_value());
  EXPECT_FALSE(moved->is_ask);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->endpoint, (RedisEndpoint{"127.0.0.1", 6381}));
  const auto ask = ParseRedirect("ASK 1 ::1:7000");
  ASSERT_TRUE(ask.has_value());
  EXPECT_TRUE(ask->is_ask);
  EXPECT_EQ(ask->endpoint, (RedisEndpoint{"::1", 7000}));
  EXPECT_EQ(ParseRedirect("MOVED 5 :7000")->endpoint.host, "") << "the node that answered";
  for (const char* other :
       {"MOVED", "MOVED x 127.0.0.1:1", "MOVED 16384 h:1", "MOVED 1 h", "ERR MOVED 1 h:1"})
    EXPECT_FALSE(ParseRedirect(other).has_value()) << other;
}

}  // namespace
}  // namespace cacheclip
