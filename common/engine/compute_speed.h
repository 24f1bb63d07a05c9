// What computing costs here: operations of a forward pass from the model's shape (method.md's counts: two per
// parameter and row, attention by the slots each row attends to), and how many of them per second this
// machine does, learned from every pass that ran. Kinds of passes are told apart: encoding a few hundred rows
// takes more time per operation than a full prefill of thousands. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>

#include "absl/time/time.h"
#include "common/model/config.h"

namespace cacheclip {

// Rows of one pass and the slots that all of them together attend to.
struct PassSize {
  int64_t num_rows = 0, num_attended = 0;
};
PassSize FullPass(int64_t num_tokens);                             // causal, nothing cached before it
PassSize PassBehind(int64_t num_cached, int64_t num_rows);         // rows follow `num_cached` slots
PassSize ScatteredPass(int64_t num_rows, int64_t context_tokens);  // rows spread evenly over the context

double PassOperations(const ModelConfig& config, int num_layers, PassSize size);

enum class PassKind { kFull, kEncode, kSelective };

class ComputeSpeed {
 public:
  static constexpr double kNewWeight = 0.3;  // of the latest pass in the average

  void Observe(PassKind kind, double operations, absl::Duration duration);
  void Forget();
  // A kind that has not run yet: a full prefill counts like the fastest kind that has, so that the bound over
  // it is not taken too wide, the others like the slowest. nullopt before the first pass.
  std::optional<absl::Duration> Estimate(PassKind kind, double operations) const;

 private:
  mutable std::mutex mutex_;
  std::array<double, 3> seconds_per_operation_{};  // by kind; 0: unknown
};

}  // namespace cacheclip
