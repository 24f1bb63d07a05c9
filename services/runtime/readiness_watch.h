// Asks something again and again, whether the service can do its work, and hands on the answer: for health by
// service name, which readiness probes ask for, while the answer for "" only says that the process lives. One
// thread of its own; `check` and `report` are called by it alone and must be bounded in time.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/catalog/catalog.h"

namespace cacheclip {

class ReadinessWatch {
 public:
  using Check = std::function<absl::Status()>;
  using Report = std::function<void(bool is_ready)>;

  // Checks at once and then every `interval`; reports each change, the first answer included. Changes are
  // logged with the reason.
  ReadinessWatch(Check check, Report report, absl::Duration interval);
  ~ReadinessWatch();  // waits for a check under way; nothing is reported afterwards

 private:
  void Run();

  const Check check_;
  const Report report_;
  const absl::Duration interval_;
  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::thread thread_;
};

// OK while the catalogue answers, whatever it holds. It must outlive the watch.
ReadinessWatch::Check CatalogAnswers(Catalog* catalog);

}  // namespace cacheclip
