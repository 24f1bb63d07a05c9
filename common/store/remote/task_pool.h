// A fixed number of threads that run tasks in the order they came: the fetching threads of a remote tier. The
// queue is bounded; a task that finds it full is refused, and the caller does the work itself or gives it up.
// On destruction running tasks are waited for and waiting ones are dropped unrun, so a task must mind being
// dropped (its destructor runs). Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cacheclip {

class TaskPool {
 public:
  TaskPool(int num_threads, size_t max_waiting);
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  bool Add(std::function<void()> task);  // false: full, or stopping

  void Stop();  // what the destructor does; Add() refuses from now on. Not from inside a task.

 private:
  void Loop();

  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace cacheclip
