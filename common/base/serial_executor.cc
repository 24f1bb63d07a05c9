#include "common/base/serial_executor.h"

#include <future>
#include <memory>
#include <utility>

#include "common/base/logging.h"

namespace cacheclip {

SerialExecutor::SerialExecutor() : thread_([this] { Loop(); }) {}

SerialExecutor::~SerialExecutor() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SerialExecutor::Run(TaskPriority priority, std::function<void()> task) {
  CACHECLIP_CHECK(std::this_thread::get_id() != thread_.get_id())
      << "Run() from inside a task would wait for itself";
  // Shared with the queue: the executor may still be inside the call when the caller's wait has ended.
  auto work = std::make_shared<std::packaged_task<void()>>(std::move(task));
  std::future<void> done = work->get_future();
  {
    std::lock_guard lock(mutex_);
    auto& queue = priority == TaskPriority::kInteractive ? interactive_ : background_;
    queue.push_back([work] { (*work)(); });
    changed_.notify_all();
  }
  done.get();
}

int SerialExecutor::num_waiting() const {
  std::lock_guard lock(mutex_);
  return static_cast<int>(interactive_.size() + background_.size());
}

void SerialExecutor::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !interactive_.empty() || !background_.empty(); });
    if (interactive_.empty() && background_.empty()) return;
    const bool take_background =
        interactive_.empty() || (!background_.empty() && passed_over_ >= kMaxPassedOver);
    auto& queue = take_background ? background_ : interactive_;
    passed_over_ = take_background || background_.empty() ? 0 : passed_over_ + 1;
    auto task = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

}  // namespace cacheclip
