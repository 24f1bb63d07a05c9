#include "common/base/periodic_task.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "tests/support/poll.h"

namespace cacheclip {
namespace {

TEST(PeriodicTask, IsDueAtOnceAndThenOnceAnInterval) {
  FakeClock clock;
  int num_runs = 0;
  PeriodicTask task([&] { ++num_runs; }, {.interval = absl::Minutes(5), .clock = &clock});
  EXPECT_TRUE(task.RunIfDue());
  EXPECT_FALSE(task.RunIfDue());
  clock.Advance(absl::Minutes(5) - absl::Nanoseconds(1));
  EXPECT_FALSE(task.RunIfDue());
  clock.Advance(absl::Nanoseconds(1));
  EXPECT_TRUE(task.RunIfDue());
  EXPECT_EQ(num_runs, 2);
}

TEST(PeriodicTask, WhatWasMissedIsNotMadeUpFor) {
  FakeClock clock;
  int num_runs = 0;
  PeriodicTask task([&] { ++num_runs; }, {.interval = absl::Minutes(5), .clock = &clock});
  EXPECT_TRUE(task.RunIfDue());
  clock.Advance(absl::Hours(10));
  EXPECT_TRUE(task.RunIfDue());
  EXPECT_FALSE(task.RunIfDue());
  EXPECT_EQ(num_runs, 2);
}

TEST(PeriodicTask, ItsThreadFollowsTheClock) {
  FakeClock clock;
  std::atomic<int> num_runs = 0;
  PeriodicTask task([&] { ++num_runs; },
                    {.interval = absl::Hours(1), .nap = absl::Milliseconds(1), .clock = &clock});
  task.Start();
  EXPECT_TRUE(PollUntil([&] { return num_runs == 1; }));
  clock.Advance(absl::Hours(1));
  EXPECT_TRUE(PollUntil([&] { return num_runs == 2; }));
}

TEST(PeriodicTask, EndsWithoutWaitingForItsNap) {
  std::atomic<int> num_runs = 0;
  auto task =
      std::make_unique<PeriodicTask>([&] { ++num_runs; }, PeriodicTaskOptions{.nap = absl::Hours(24)});
  task->Start();
  EXPECT_TRUE(PollUntil([&] { return num_runs == 1; }));
  task.reset();  // hangs if it does
  EXPECT_EQ(num_runs, 1);
}

}  // namespace
}  // namespace cacheclip
