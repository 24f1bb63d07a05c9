// Looks at the servers behind the remote tiers when a program has opened its stores: whether the Redis of
// redis_url makes room the way chunks want it, whether the catalogue shares a server with it, whether place
// and credentials of object_url are right. What will disappoint becomes a line that begins with the setting.
// Nothing is refused and nothing waits for it: one thread asks, with connections of its own, and asks a
// server that is away again every `interval` until it answers. The destructor waits for the one question
// under way, which is bounded by kLongestQuestion whatever the timeouts of the stores are.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/logging.h"
#include "services/runtime/config.h"

namespace cacheclip {

inline constexpr absl::Duration kLongestQuestion = absl::Seconds(3);

struct StoreQuestion {
  std::string setting;
  // What to warn of, a sentence each. UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED: ask again; ABORTED:
  // ask again, another question has to be answered first; other errors are the answer. The token is cancelled
  // when nobody wants to know any longer.
  std::function<absl::StatusOr<std::vector<std::string>>(const CancellationToken&)> ask;
  std::string while_silent = "requests go on without it";
};

// One per remote tier that is configured, and one about redis_url beside catalog_url. `limit`: of each.
std::vector<StoreQuestion> StoreQuestions(const Config& config, absl::Duration limit = kLongestQuestion);

class StoreCheck {
 public:
  using Report = std::function<void(LogSeverity severity, const std::string& line)>;  // by the thread

  explicit StoreCheck(std::vector<StoreQuestion> questions, absl::Duration interval = absl::Seconds(30),
                      Report report = WriteToLog);
  ~StoreCheck();

  // The server cannot be asked now, maybe later.
  static bool IsSilence(const absl::Status& status);
  static void WriteToLog(LogSeverity severity, const std::string& line);

 private:
  void Run();
  bool Settle(const StoreQuestion& question);  // false: ask again

  std::vector<StoreQuestion> open_;    // of the thread
  std::set<std::string> said_silent_;  // settings; of the thread
  const absl::Duration interval_;
  const Report report_;
  std::mutex mutex_;
  std::condition_variable stop_changed_;
  CancellationToken stop_;  // cancelled by the destructor
  std::thread thread_;
};

}  // namespace cacheclip
