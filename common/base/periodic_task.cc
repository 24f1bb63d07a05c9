#include "common/base/periodic_task.h"

#include <utility>

namespace cacheclip {

PeriodicTask::PeriodicTask(std::function<void()> task, PeriodicTaskOptions options)
    : task_(std::move(task)), options_(options) {}

PeriodicTask::~PeriodicTask() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  stop_changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PeriodicTask::Start() {
  thread_ = std::thread([this] { Loop(); });
}

bool PeriodicTask::RunIfDue() {
  std::lock_guard lock(run_mutex_);
  const absl::Time now = options_.clock->Now();
  if (now < due_) return false;
  due_ = now + options_.interval;
  task_();
  return true;
}

void PeriodicTask::Loop() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    lock.unlock();
    RunIfDue();
    lock.lock();
    stop_changed_.wait_for(lock, absl::ToChronoNanoseconds(options_.nap), [this] { return is_stopping_; });
  }
}

}  // namespace cacheclip
