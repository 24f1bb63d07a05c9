#include "services/cacheclip/store_bench/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace cacheclip {
namespace {

using testing::ElementsAre;

TEST(Compare, MeasuresInTurnAndTheFirstChangesPlaces) {
  std::vector<std::string> order;
  const auto row = Compare({.tier = "disk",
                            .operation = "read",
                            .limit = "pread",
                            .num_bytes = 1000,
                            .target = 0.8,
                            .measure =
                                [&] {
                                  order.push_back("ours");
                                  return 2.0;
                                },
                            .measure_limit =
                                [&] {
                                  order.push_back("limit");
                                  return 1.0;
                                }},
                           {.repeat = 2});
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_THAT(order, ElementsAre("ours", "limit", "limit", "ours", "ours", "limit"));
  EXPECT_EQ((*row)["bytes_per_second"]["median"], 500.0);
  EXPECT_EQ((*row)["limit_bytes_per_second"]["median"], 1000.0);
  EXPECT_EQ((*row)["ratio"]["median"], 0.5);
  EXPECT_EQ((*row)["target"], 0.8);
}

TEST(Compare, TheWarmUpDoesNotCountAndTheRangeIsKept) {
  std::vector<double> seconds = {1000, 1, 4, 2};
  size_t next = 0;
  const auto row = Compare({.num_bytes = 4, .measure = [&] { return seconds[next++]; }}, {.repeat = 3});
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ((*row)["bytes_per_second"], (nlohmann::json{{"median", 2.0}, {"low", 1.0}, {"high", 4.0}}));
  EXPECT_FALSE(row->contains("limit"));
}

TEST(Compare, EndsWithTheFirstErrorAndWhenItIsCancelled) {
  const Comparison failing{.num_bytes = 1, .measure = [] { return absl::DataLossError("damaged"); }};
  EXPECT_TRUE(absl::IsDataLoss(Compare(failing, {.repeat = 3}).status()));
  StoreBenchOptions options{.repeat = 3};
  int num_rounds = 0;
  const Comparison cancelled{.num_bytes = 1, .measure = [&] {
                               ++num_rounds;
                               options.cancellation.Cancel();
                               return 1.0;
                             }};
  EXPECT_TRUE(absl::IsCancelled(Compare(cancelled, options).status()));
  EXPECT_EQ(num_rounds, 1);
}

TEST(TimeOnThreads, DoesEachOnceAndReportsAnError) {
  std::mutex mutex;
  std::multiset<int> done;
  const auto seconds = TimeOnThreads(3, 10, [&](int i) {
    std::lock_guard lock(mutex);
    done.insert(i);
    return absl::OkStatus();
  });
  ASSERT_TRUE(seconds.ok()) << seconds.status();
  EXPECT_THAT(done, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  const auto failed =
      TimeOnThreads(3, 10, [](int i) { return i == 7 ? absl::UnavailableError("seven") : absl::OkStatus(); });
  EXPECT_TRUE(absl::IsUnavailable(failed.status()));
}

}  // namespace
}  // namespace cacheclip
