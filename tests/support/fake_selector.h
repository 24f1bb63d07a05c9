// A selector that answers what the test says: for faults that a real one cannot be brought to. Counts its
// calls. Thread-safe if the answer function is.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "common/engine/token_selector.h"

namespace cacheclip {

class FakeSelector : public TokenSelector {
 public:
  using Answer = std::function<absl::StatusOr<SelectResult>(const SelectRequest&, const CancellationToken&)>;

  explicit FakeSelector(Answer answer) : answer_(std::move(answer)) {}

  absl::StatusOr<SelectResult> Select(const SelectRequest& request,
                                      const CancellationToken& cancellation) override {
    ++num_calls_;
    return answer_(request, cancellation);
  }
  int num_calls() const { return num_calls_; }

 private:
  Answer answer_;
  std::atomic<int> num_calls_{0};
};

}  // namespace cacheclip
