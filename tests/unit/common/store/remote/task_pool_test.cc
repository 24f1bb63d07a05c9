#include "common/store/remote/task_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include "tests/support/poll.h"

namespace cacheclip {
namespace {

TEST(TaskPool, RunsTasksBesideEachOther) {
  TaskPool pool(2, 10);
  std::promise<void> first, second;
  ASSERT_TRUE(pool.Add([&] { second.get_future().wait(), first.set_value(); }));
  ASSERT_TRUE(pool.Add([&] { second.set_value(); }));
  first.get_future().wait();
}

TEST(TaskPool, RefusesWhatDoesNotFit) {
  TaskPool pool(1, 2);
  std::promise<void> start, go;
  ASSERT_TRUE(pool.Add([&] { start.set_value(), go.get_future().wait(); }));
  start.get_future().wait();
  EXPECT_TRUE(pool.Add([] {}));
  EXPECT_TRUE(pool.Add([] {}));
  EXPECT_FALSE(pool.Add([] {}));
  go.set_value();
  EXPECT_TRUE(PollUntil([&] { return pool.Add([] {}); }));
}

TEST(TaskPool, DropsWhatWaitsAndFinishesWhatRuns) {
  TaskPool pool(1, 10);
  std::promise<void> start, go;
  std::atomic<int> num_run{0};
  auto held = std::make_shared<int>(1);
  ASSERT_TRUE(pool.Add([&] { start.set_value(), go.get_future().wait(), ++num_run; }));
  start.get_future().wait();
  ASSERT_TRUE(pool.Add([&num_run, held] { ++num_run; }));
  std::thread stopper([&] { pool.Stop(); });
  EXPECT_TRUE(PollUntil([&] { return held.use_count() == 1; })) << "dropped before the running one ends";
  go.set_value();
  stopper.join();
  EXPECT_EQ(num_run, 1);
  EXPECT_FALSE(pool.Add([] {}));
}

}  // namespace
}  // namespace cacheclip
