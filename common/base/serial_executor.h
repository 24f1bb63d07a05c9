// One thread that owns the arithmetic. Model work of all services in a process runs here, one task at a time,
// so that a single OpenMP team uses all cores and no two forward passes fight for them. Tasks of a priority
// run in arrival order; decode steps re-queue themselves, which makes concurrent requests take turns.
// Interactive tasks go before background ones (ingestion), but a waiting background task is never passed more
// than kMaxPassedOver times. Thread-safe. Do not call Run() from inside a task: it would wait for itself.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace cacheclip {

enum class TaskPriority { kInteractive, kBackground };

class SerialExecutor {
 public:
  static constexpr int kMaxPassedOver = 16;

  SerialExecutor();
  ~SerialExecutor();  // runs what is queued, then joins

  // Runs `task` on the executor's thread and returns when it has finished; what it throws is thrown here.
  void Run(TaskPriority priority, std::function<void()> task);

  int num_waiting() const;

 private:
  void Loop();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> interactive_, background_;
  int passed_over_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cacheclip
