#include "common/store/background_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace cacheclip {
namespace {

TEST(BackgroundQueue, RunsTasksInOrder) {
  BackgroundQueue queue({});
  std::vector<int> order;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(queue.Add(1, [&order, i] { order.push_back(i); }));
  queue.WaitUntilIdle();
  ASSERT_EQ(order.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(order[i], i);
  EXPECT_EQ(queue.held_bytes(), 0);
}

TEST(BackgroundQueue, RefusesWhatDoesNotFit) {
  BackgroundQueue queue({.max_bytes = 100, .max_tasks = 2});
  std::promise<void> gate;
  std::promise<void> started;
  ASSERT_TRUE(queue.Add(60, [&] {
    started.set_value();
    gate.get_future().wait();
  }));
  started.get_future().wait();
  EXPECT_FALSE(queue.Add(41, [] {})) << "bytes of the running task count";
  EXPECT_TRUE(queue.Add(40, [] {}));
  EXPECT_TRUE(queue.Add(0, [] {}));
  EXPECT_FALSE(queue.Add(0, [] {})) << "two tasks wait already";
  EXPECT_EQ(queue.held_bytes(), 100);
  gate.set_value();
  queue.WaitUntilIdle();
  EXPECT_TRUE(queue.Add(1000, [] {})) << "one larger than the bound goes alone";
}

TEST(BackgroundQueue, StoppingDropsWhatWaits) {
  BackgroundQueue queue({});
  std::promise<void> gate, started;
  std::atomic<int> num_run{0};
  ASSERT_TRUE(queue.Add(1, [&] {
    started.set_value();
    gate.get_future().wait();
    ++num_run;
  }));
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> waiting = held;
  ASSERT_TRUE(queue.Add(1, [&num_run, held = std::move(held)] { ++num_run; }));
  started.get_future().wait();
  std::thread stopper([&] { queue.Stop(); });
  while (!waiting.expired()) std::this_thread::yield();  // dropped, and what it held with it
  EXPECT_FALSE(queue.Add(0, [] {}));
  gate.set_value();
  stopper.join();
  EXPECT_EQ(num_run, 1);
}

}  // namespace
}  // namespace cacheclip
