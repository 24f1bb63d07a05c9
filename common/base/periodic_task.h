// Something that is done now and then for as long as the object lives: at once after Start(), then whenever
// `interval` has passed on the clock since the last time. The clock is looked at every `nap` of real time, so
// that a test moves a FakeClock and waits for nothing else, and so that a suspended machine catches up.
//
//   PeriodicTask sweep([&] { catalog.Sweep(); }, {.interval = absl::Minutes(5)});
//   sweep.Start();
//
// One thread of its own; the task is never run twice at the same time. The destructor waits for a run under
// way, so the task must be bounded in time.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace cacheclip {

struct PeriodicTaskOptions {
  absl::Duration interval = absl::Minutes(5);
  absl::Duration nap = absl::Seconds(1);  // between two looks at the clock; how late a run may be
  const Clock* clock = RealClock();       // must outlive the task
};

class PeriodicTask {
 public:
  PeriodicTask(std::function<void()> task, PeriodicTaskOptions options);
  ~PeriodicTask();
  PeriodicTask(const PeriodicTask&) = delete;
  PeriodicTask& operator=(const PeriodicTask&) = delete;

  void Start();  // once

  // Runs the task if it is due; says whether it was. What the thread does at each look at the clock.
  bool RunIfDue();

 private:
  void Loop();

  const std::function<void()> task_;
  const PeriodicTaskOptions options_;
  std::mutex run_mutex_;  // held while the task runs
  absl::Time due_ = absl::InfinitePast();
  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace cacheclip
