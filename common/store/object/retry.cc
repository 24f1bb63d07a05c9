#include "common/store/object/retry.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

double SystemRandom() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

void WaitOnThread(absl::Duration duration) {
  std::this_thread::sleep_for(absl::ToChronoNanoseconds(duration));
}

}  // namespace

Retrier::Retrier(RetryOptions options) : options_(std::move(options)) {
  if (!options_.pause) options_.pause = WaitOnThread;
  if (!options_.random) options_.random = SystemRandom;
}

absl::Status Retrier::Run(const CancellationToken& token,
                          const std::function<absl::Status()>& attempt) const {
  absl::Duration limit = options_.first_backoff;
  for (int number = 1;; ++number) {
    CACHECLIP_RETURN_IF_ERROR(token.Check());
    const absl::Status status = attempt();
    if (!absl::IsUnavailable(status)) return status;
    if (number >= options_.max_attempts)
      return WithContext(status, absl::StrCat("failed ", number, number == 1 ? " time" : " times"));
    const absl::Duration pause = options_.random() * std::min(limit, options_.max_backoff);
    if (options_.clock->Now() + pause >= token.deadline())
      return absl::DeadlineExceededError(
          absl::StrCat("no time to try again after attempt ", number, ": ", status.message()));
    options_.pause(pause);
    limit *= 2;
  }
}

}  // namespace cacheclip
