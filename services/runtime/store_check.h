// Looks at the servers behind the remote tiers when a program has opened its stores: whether the Redis of
// redis_url makes room the way chunks want it, whether place and credentials of object_url are right. What
// will disappoint becomes a line that begins with the setting. Nothing is refused and nothing waits for it:
// one thread asks, with connections of its own, and asks a server that is away again every `interval` until
// it answers. The destructor waits for a question under way, which is bounded by a few seconds.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/logging.h"
#include "services/runtime/config.h"

namespace cacheclip {

struct StoreQuestion {
  std::string setting;
  // What to warn of, a sentence each. UNAVAILABLE, DEADLINE_EXCEEDED: ask again; other errors are the answer.
  std::function<absl::StatusOr<std::vector<std::string>>()> ask;
};

// One per remote tier that is configured.
std::vector<StoreQuestion> StoreQuestions(const Config& config);

class StoreCheck {
 public:
  using Report = std::function<void(LogSeverity severity, const std::string& line)>;  // by the thread

  explicit StoreCheck(std::vector<StoreQuestion> questions, absl::Duration interval = absl::Seconds(30),
                      Report report = WriteToLog);
  ~StoreCheck();

  static void WriteToLog(LogSeverity severity, const std::string& line);

 private:
  void Run();
  bool Settle(const StoreQuestion& question, bool is_first);  // false: ask again

  std::vector<StoreQuestion> open_;  // of the thread
  const absl::Duration interval_;
  const Report report_;
  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace cacheclip
