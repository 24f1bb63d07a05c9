#include "services/runtime/store_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <utility>

#include "common/base/status.h"
#include "tests/support/poll.h"
#include "tests/support/redis_server.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

// What a StoreCheck has said so far.
class Lines {
 public:
  StoreCheck::Report Collect() {
    return [this](LogSeverity severity, const std::string& line) {
      std::lock_guard lock(mutex_);
      lines_.emplace_back(severity, line);
    };
  }
  std::vector<std::pair<LogSeverity, std::string>> all() const {
    std::lock_guard lock(mutex_);
    return lines_;
  }
  bool WaitFor(size_t num_lines) const {
    return PollUntil([&] { return all().size() >= num_lines; });
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<LogSeverity, std::string>> lines_;
};

RedisServerOptions WithPolicy(const std::string& policy) {
  return {.settings = {"maxmemory 20mb", "maxmemory-policy " + policy}};
}

TEST(StoreCheck, WarnsOfARedisThatWillRefuseChunks) {
  CACHECLIP_NEEDS_REDIS();
  const RedisServer full(WithPolicy("noeviction")), unlimited;
  Config config;
  for (const auto& [url, word] : {std::pair{full.url(), "noeviction"}, {unlimited.url(), "no maxmemory"}}) {
    config.redis_url = url;
    Lines lines;
    const StoreCheck check(StoreQuestions(config), absl::Seconds(30), lines.Collect());
    ASSERT_TRUE(lines.WaitFor(1));
    EXPECT_THAT(lines.all(),
                ElementsAre(Pair(LogSeverity::kWarning, AllOf(StartsWith("redis_url: "), HasSubstr(word)))));
  }
}

TEST(StoreCheck, AServerThatEvictsTheCatalogueIsAnError) {
  CACHECLIP_NEEDS_REDIS();
  const RedisServer shared(WithPolicy("allkeys-lru"));
  Config config;
  config.redis_url = config.catalog_url = shared.url();
  Lines lines;
  const StoreCheck check(StoreQuestions(config), absl::Seconds(30), lines.Collect());
  ASSERT_TRUE(lines.WaitFor(2));
  EXPECT_THAT(
      lines.all(),
      ElementsAre(
          Pair(LogSeverity::kWarning, StartsWith("redis_url: Redis has the policy allkeys-lru")),
          Pair(LogSeverity::kError, AllOf(StartsWith("catalog_url: "), HasSubstr("evicts the catalogue")))));
}

TEST(StoreCheck, ACatalogueThatIsAwayHidesNothingOfRedisUrl) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer chunks(WithPolicy("noeviction")), catalog(WithPolicy("noeviction"));
  Config config;
  config.redis_url = chunks.url();
  config.catalog_url = catalog.url();
  catalog.Kill();
  Lines lines;
  const StoreCheck check(StoreQuestions(config), absl::Hours(1), lines.Collect());
  ASSERT_TRUE(lines.WaitFor(2));
  EXPECT_THAT(
      lines.all(),
      ElementsAre(Pair(LogSeverity::kWarning, AllOf(StartsWith("redis_url: "), HasSubstr("noeviction"))),
                  Pair(LogSeverity::kWarning, StartsWith("catalog_url: does not answer, whether"))));
}

TEST(StoreCheck, WhoMayNotAskTheCatalogueIsStillToldOfRedisUrl) {
  CACHECLIP_NEEDS_REDIS();
  const RedisServer chunks(WithPolicy("noeviction")),
      catalog({.settings = {"user default on nopass ~* &* +@all -info"}});
  Config config;
  config.redis_url = chunks.url();
  config.catalog_url = catalog.url();
  config.catalog_cluster = "no";
  Lines lines;
  const StoreCheck check(StoreQuestions(config), absl::Hours(1), lines.Collect());
  ASSERT_TRUE(lines.WaitFor(2));
  EXPECT_THAT(
      lines.all(),
      ElementsAre(Pair(LogSeverity::kWarning, AllOf(StartsWith("redis_url: "), HasSubstr("noeviction"))),
                  Pair(LogSeverity::kWarning,
                       AllOf(StartsWith("catalog_url: whether it shares"), HasSubstr("NOPERM")))));
}

TEST(StoreCheck, TheCatalogueIsComparedOnceRedisUrlHasAnswered) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer shared(WithPolicy("volatile-lru"));
  Config config;
  config.redis_url = config.catalog_url = shared.url();
  shared.Kill();
  Lines lines;
  const StoreCheck check(StoreQuestions(config), absl::Milliseconds(10), lines.Collect());
  ASSERT_TRUE(lines.WaitFor(1));
  EXPECT_THAT(lines.all(),
              ElementsAre(Pair(LogSeverity::kWarning, StartsWith("redis_url: does not answer"))));
  shared.Restart();
  ASSERT_TRUE(
      PollUntil([&] { return lines.all().back().second.find("share a Redis") != std::string::npos; }));
}

TEST(StoreCheck, AServerThatIsAwayIsAskedUntilItAnswers) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer server(WithPolicy("noeviction"));
  Config config;
  config.redis_url = server.url();
  server.Kill();
  Lines lines;
  const StoreCheck check(StoreQuestions(config), absl::Milliseconds(10), lines.Collect());
  ASSERT_TRUE(lines.WaitFor(1));
  server.Restart();
  ASSERT_TRUE(lines.WaitFor(2));
  EXPECT_THAT(lines.all(), ElementsAre(Pair(LogSeverity::kWarning, HasSubstr("does not answer")),
                                       Pair(LogSeverity::kWarning, HasSubstr("noeviction"))));
}

TEST(StoreCheck, GoodServersAreAskedOnceAndSaidNothingOf) {
  TempFolder folder;
  Config config;
  config.object_url = "file://" + folder.path();
  std::vector<StoreQuestion> questions = StoreQuestions(config);
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_TRUE(questions[0].ask(CancellationToken())->empty());
  std::atomic<int> num_asked = 0;
  questions = {{"object_url", [&num_asked](const auto&) { return ++num_asked, std::vector<std::string>{}; }},
               {"redis_url", [](const auto&) { return std::vector<std::string>{"last"}; }}};
  Lines lines;
  {
    const StoreCheck check(questions, absl::ZeroDuration(), lines.Collect());
    ASSERT_TRUE(lines.WaitFor(1));
  }
  EXPECT_EQ(num_asked, 1);
  EXPECT_THAT(lines.all(), ElementsAre(Pair(LogSeverity::kWarning, "redis_url: last")));
}

TEST(StoreCheck, AWrongAnswerIsAnErrorThatNamesItsSettingOnce) {
  Lines lines;
  const StoreCheck check(
      {{"object_url", [](const auto&) { return InvalidField("object_url", "no such bucket"); }},
       {"object_url", [](const auto&) { return InvalidField("s3_tls_ca", "absent"); }}},
      absl::ZeroDuration(), lines.Collect());
  ASSERT_TRUE(lines.WaitFor(2));
  EXPECT_THAT(lines.all(), ElementsAre(Pair(LogSeverity::kError, "object_url: no such bucket"),
                                       Pair(LogSeverity::kError, "object_url: s3_tls_ca: absent")));
}

TEST(StoreCheck, EndsWhileAServerIsAway) {
  Lines lines;
  const StoreCheck check({{"redis_url", [](const auto&) { return absl::UnavailableError("away"); }}},
                         absl::Hours(1), lines.Collect());
  EXPECT_TRUE(lines.WaitFor(1));
}

TEST(StoreCheck, EndsWithoutTheQuestionsThatWereNotAskedYet) {
  std::atomic<bool> is_asked = false, is_next_asked = false;
  const auto until_the_end = [&](const CancellationToken& token) {
    is_asked = true;
    EXPECT_TRUE(PollUntil([&] { return !token.Check().ok(); }));
    return std::vector<std::string>{};
  };
  const auto next = [&](const CancellationToken&) {
    is_next_asked = true;
    return std::vector<std::string>{};
  };
  {
    const StoreCheck check({{"redis_url", until_the_end}, {"object_url", next}});
    ASSERT_TRUE(PollUntil([&] { return is_asked.load(); }));
  }
  EXPECT_FALSE(is_next_asked);
}

TEST(StoreCheck, AsksNoLongerThanItsLimitWhateverTheTimeoutOfTheStore) {
  CACHECLIP_NEEDS_REDIS();
  RedisServer server;
  Config config;
  config.redis_url = server.url();
  config.redis_timeout_seconds = 3600;
  server.Pause();
  Lines lines;
  const StoreCheck check(StoreQuestions(config, /*limit=*/absl::Milliseconds(50)), absl::Hours(1),
                         lines.Collect());
  ASSERT_TRUE(lines.WaitFor(1));
  EXPECT_THAT(lines.all(), ElementsAre(Pair(LogSeverity::kWarning, HasSubstr("does not answer"))));
  server.Resume();
}

TEST(StoreCheck, AServerWithTooManyClientsIsAskedAgainAndSaidSoOnce) {
  int num_asked = 0;
  const auto full = [&](const CancellationToken&) -> absl::StatusOr<std::vector<std::string>> {
    if (++num_asked < 4) return absl::ResourceExhaustedError("max number of clients reached");
    return std::vector<std::string>{"its warning"};
  };
  Lines lines;
  const StoreCheck check({{"redis_url", full}}, absl::ZeroDuration(), lines.Collect());
  ASSERT_TRUE(lines.WaitFor(2));
  EXPECT_THAT(lines.all(), ElementsAre(Pair(LogSeverity::kWarning, HasSubstr("max number of clients")),
                                       Pair(LogSeverity::kWarning, "redis_url: its warning")));
}

}  // namespace
}  // namespace cacheclip
