#include "common/engine/compute_speed.h"

namespace cacheclip {

PassSize FullPass(int64_t num_tokens) { return PassBehind(0, num_tokens); }

PassSize PassBehind(int64_t num_cached, int64_t num_rows) {
  return {num_rows, num_rows * num_cached + num_rows * (num_rows + 1) / 2};
}

PassSize ScatteredPass(int64_t num_rows, int64_t context_tokens) {
  return {num_rows, num_rows * context_tokens / 2};
}

double PassOperations(const ModelConfig& config, int num_layers, PassSize size) {
  const double heads = static_cast<double>(config.num_heads),
               kv_heads = static_cast<double>(config.num_kv_heads);
  const double hidden = static_cast<double>(config.hidden_size), dim = static_cast<double>(config.head_dim);
  const double parameters =
      hidden * dim * (2 * heads + 2 * kv_heads) + 3 * hidden * static_cast<double>(config.intermediate_size);
  const double linear = 2 * parameters * static_cast<double>(size.num_rows);
  const double attention = 4 * heads * dim * static_cast<double>(size.num_attended);
  return num_layers * (linear + attention);
}

void ComputeSpeed::Observe(PassKind kind, double operations, absl::Duration duration) {
  if (operations <= 0 || duration <= absl::ZeroDuration()) return;
  const double seconds = absl::ToDoubleSeconds(duration) / operations;
  std::lock_guard lock(mutex_);
  double& known = seconds_per_operation_[static_cast<size_t>(kind)];
  known = known == 0 ? seconds : (1 - kNewWeight) * known + kNewWeight * seconds;
}

void ComputeSpeed::Forget() {
  std::lock_guard lock(mutex_);
  seconds_per_operation_.fill(0);
}

std::optional<absl::Duration> ComputeSpeed::Estimate(PassKind kind, double operations) const {
  std::lock_guard lock(mutex_);
  double seconds = seconds_per_operation_[static_cast<size_t>(kind)];
  if (seconds == 0)
    for (const double other : seconds_per_operation_)
      if (other > 0 && (seconds == 0 || (kind == PassKind::kFull) == (other < seconds))) seconds = other;
  if (seconds == 0) return std::nullopt;
  return absl::Seconds(operations * seconds);
}

}  // namespace cacheclip
