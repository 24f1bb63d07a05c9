// Threads that do what nobody waits for on its own thread: promotions, prefetches, evictions ahead of need,
// loads side by side. Tasks begin in order. The queue is bounded in tasks and in the bytes that tasks hold; a
// task that does not fit is refused and the caller goes on without it. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cacheclip {

struct BackgroundQueueOptions {
  int64_t max_bytes = int64_t{256} << 20;  // held by queued and running tasks; one larger task goes alone
  int64_t max_tasks = 4096;                // queued
  int num_threads = 1;
};

class BackgroundQueue {
 public:
  explicit BackgroundQueue(BackgroundQueueOptions options);
  ~BackgroundQueue() { Stop(); }

  // Drops what is queued, waits for the task that runs, refuses all others. Not from inside a task.
  void Stop();

  // False: full, the task will not run.
  bool Add(int64_t bytes, std::function<void()> task);

  void WaitUntilIdle();        // until nothing is queued or running
  int64_t held_bytes() const;  // by queued and running tasks

 private:
  struct Task {
    int64_t bytes = 0;
    std::function<void()> run;
  };
  void Loop();

  const BackgroundQueueOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  int64_t held_bytes_ = 0;
  int num_running_ = 0;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace cacheclip
