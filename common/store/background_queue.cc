#include "common/store/background_queue.h"

#include <utility>

namespace cacheclip {

BackgroundQueue::BackgroundQueue(BackgroundQueueOptions options) : options_(options) {
  for (int i = 0; i < options_.num_threads; ++i) threads_.emplace_back([this] { Loop(); });
}

void BackgroundQueue::Stop() {
  std::deque<Task> dropped;  // destroyed without the lock: a task may hold the last reference to something
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    dropped.swap(tasks_);
  }
  changed_.notify_all();
  dropped.clear();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

bool BackgroundQueue::Add(int64_t bytes, std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    const bool has_room = held_bytes_ == 0 || held_bytes_ + bytes <= options_.max_bytes;
    if (is_stopping_ || !has_room || static_cast<int64_t>(tasks_.size()) >= options_.max_tasks) return false;
    held_bytes_ += bytes;
    tasks_.push_back({bytes, std::move(task)});
  }
  changed_.notify_all();
  return true;
}

void BackgroundQueue::WaitUntilIdle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_stopping_ || (tasks_.empty() && num_running_ == 0); });
}

int64_t BackgroundQueue::held_bytes() const {
  std::lock_guard lock(mutex_);
  return held_bytes_;
}

void BackgroundQueue::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_stopping_ || !tasks_.empty(); });
    if (is_stopping_) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    ++num_running_;
    lock.unlock();
    task.run();
    task.run = nullptr;
    lock.lock();
    held_bytes_ -= task.bytes;
    --num_running_;
    changed_.notify_all();
  }
}

}  // namespace cacheclip
