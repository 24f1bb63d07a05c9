// The one place where a test waits: PollUntil asks a condition again and again until it holds or the deadline
// passes. The deadline only bounds a broken test; no test may depend on how long it is. Thread-safe if the
// condition is.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace cacheclip {

// True as soon as `condition` holds; false if it still does not after `timeout`.
inline bool PollUntil(const std::function<bool()>& condition,
                      std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace cacheclip
