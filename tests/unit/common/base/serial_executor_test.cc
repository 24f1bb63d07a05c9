#include "common/base/serial_executor.h"

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

// Holds the executor inside a first task while others queue up behind it in a known order; Open() lets them
// run.
class Gate {
 public:
  explicit Gate(SerialExecutor* executor) : executor_(executor) {
    callers_.emplace_back([this] {
      executor_->Run(TaskPriority::kInteractive, [this] {
        entered_.set_value();
        opened_.get_future().wait();
      });
    });
    entered_.get_future().wait();
  }
  ~Gate() {
    for (std::thread& caller : callers_) caller.join();
  }

  void Queue(TaskPriority priority, std::function<void()> task) {
    const int num_before = executor_->num_waiting();
    callers_.emplace_back([this, priority, task] { executor_->Run(priority, task); });
    ASSERT_TRUE(PollUntil([&] { return executor_->num_waiting() == num_before + 1; }));
  }
  void Open() { opened_.set_value(); }

 private:
  SerialExecutor* executor_;
  std::promise<void> entered_, opened_;
  std::vector<std::thread> callers_;
};

TEST(SerialExecutor, ReturnsAfterTheTaskHasRunOnItsOwnThread) {
  SerialExecutor executor;
  std::thread::id first, second;
  executor.Run(TaskPriority::kInteractive, [&] { first = std::this_thread::get_id(); });
  executor.Run(TaskPriority::kBackground, [&] { second = std::this_thread::get_id(); });
  EXPECT_EQ(first, second);
  EXPECT_NE(first, std::this_thread::get_id());
}

TEST(SerialExecutor, KeepsArrivalOrderWithinAPriority) {
  SerialExecutor executor;
  std::vector<int> order;
  {
    Gate gate(&executor);
    for (int i = 0; i < 8; ++i) gate.Queue(TaskPriority::kInteractive, [&order, i] { order.push_back(i); });
    EXPECT_EQ(executor.num_waiting(), 8);
    gate.Open();
  }
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST(SerialExecutor, InteractiveGoesBeforeBackground) {
  SerialExecutor executor;
  std::string order;
  {
    Gate gate(&executor);
    gate.Queue(TaskPriority::kBackground, [&] { order += 'b'; });
    gate.Queue(TaskPriority::kInteractive, [&] { order += 'i'; });
    gate.Open();
  }
  EXPECT_EQ(order, "ib");
}

TEST(SerialExecutor, BackgroundIsPassedOverAtMostTheStatedNumberOfTimes) {
  SerialExecutor executor;
  constexpr int kMax = SerialExecutor::kMaxPassedOver;
  std::string order;
  {
    Gate gate(&executor);
    for (int i = 0; i < 2; ++i) gate.Queue(TaskPriority::kBackground, [&] { order += 'b'; });
    for (int i = 0; i < 2 * kMax + 3; ++i) gate.Queue(TaskPriority::kInteractive, [&] { order += 'i'; });
    gate.Open();
  }
  const std::string turns(kMax, 'i');
  EXPECT_EQ(order, turns + "b" + turns + "b" + "iii");
}

TEST(SerialExecutor, NeverRunsTwoTasksAtOnce) {
  SerialExecutor executor;
  std::atomic<int> num_inside{0}, num_overlaps{0};
  std::vector<std::thread> callers;
  int num_done = 0;  // unguarded on purpose: the executor is the guard
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 50; ++i)
        executor.Run(caller % 2 ? TaskPriority::kBackground : TaskPriority::kInteractive, [&] {
          if (++num_inside > 1) ++num_overlaps;
          ++num_done;
          --num_inside;
        });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(num_overlaps, 0);
  EXPECT_EQ(num_done, 200);
}

TEST(SerialExecutor, ThrowsInTheCallerWhatTheTaskThrewAndGoesOn) {
  SerialExecutor executor;
  EXPECT_THROW(executor.Run(TaskPriority::kInteractive, [] { throw std::runtime_error("no memory"); }),
               std::runtime_error);
  bool has_run = false;
  executor.Run(TaskPriority::kInteractive, [&] { has_run = true; });
  EXPECT_TRUE(has_run);
}

TEST(SerialExecutor, RunsWhatIsQueuedBeforeItEnds) {
  auto executor = std::make_unique<SerialExecutor>();
  std::atomic<bool> has_run{false};
  {
    Gate gate(executor.get());
    gate.Queue(TaskPriority::kBackground, [&] { has_run = true; });
    std::thread destroyer([&] { executor.reset(); });
    gate.Open();
    destroyer.join();
    EXPECT_TRUE(has_run);
  }
}

TEST(SerialExecutor, RunFromInsideATaskIsABrokenInvariant) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        SerialExecutor executor;
        executor.Run(TaskPriority::kInteractive, [&] { executor.Run(TaskPriority::kInteractive, [] {}); });
      },
      "would wait for itself");
}

}  // namespace
}  // namespace cacheclip
