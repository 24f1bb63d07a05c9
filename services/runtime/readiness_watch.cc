#include "services/runtime/readiness_watch.h"

#include <optional>
#include <utility>

#include "common/base/logging.h"

namespace cacheclip {

ReadinessWatch::ReadinessWatch(Check check, Report report, absl::Duration interval)
    : check_(std::move(check)), report_(std::move(report)), interval_(interval), thread_([this] { Run(); }) {}

ReadinessWatch::~ReadinessWatch() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  thread_.join();
}

void ReadinessWatch::Run() {
  std::optional<bool> was_ready;
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    const absl::Status status = check_();
    if (was_ready != status.ok()) {
      if (!status.ok()) {
        CACHECLIP_LOG(Warning) << "not ready: " << status.message();
      } else if (was_ready.has_value()) {
        CACHECLIP_LOG(Info) << "ready again";
      }
      was_ready = status.ok();
      report_(status.ok());
    }
    lock.lock();
    stop_changed_.wait_for(lock, absl::ToChronoNanoseconds(interval_), [this] { return stop_; });
  }
}

ReadinessWatch::Check CatalogAnswers(Catalog* catalog) {
  return [catalog] {
    const absl::Status status = catalog->GetNamespace("default").status();
    return absl::IsNotFound(status) ? absl::OkStatus() : status;
  };
}

}  // namespace cacheclip
