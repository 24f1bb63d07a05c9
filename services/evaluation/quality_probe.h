// Whether reuse answers as full prefill does, on the models and settings at hand: a few made-up questions
// over more than one chunk, answered with and without reuse. `cacheclip verify --quality` prints what comes
// out; generation asks before it serves, where the setting `max_divergence` bounds it, and prefills
// everything in full if the bound is exceeded. Loads the models itself and frees them; neither reads nor
// writes a server's stores. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "services/evaluation/eval_run.h"
#include "services/runtime/config.h"

namespace cacheclip {

struct QualityProbeOptions {
  std::string tasks = "niah_multikey_1,seam,two_hop";
  int num_samples = 3;  // per task
  int context_tokens = 800;
  int chunk_tokens = 160;
  double budget = 0.2;
  uint64_t seed = 7;
};

struct QualityReport {
  int num_samples = 0;
  double budget = 0;
  double reuse_kl = 0;        // KL(full ‖ auto), mean nats per token
  double none_kl = 0;         // the same without any recompute
  double top1_agreement = 0;  // share of full prefill's tokens that reuse would choose too
  double estimated_kl = 0;    // mean of what the usage records would say
  std::optional<double> divergence_per_stale_mass;  // with which that would be reuse_kl; none: nobody scored

  std::string ToString() const;
};

// RESOURCE_EXHAUSTED and others as loading the models gives them.
absl::StatusOr<QualityReport> ProbeQuality(
    Config config, const QualityProbeOptions& options = {},
    const std::function<void(const EvalProgress&)>& on_progress = nullptr);

// Why reuse must not be served under config.max_divergence; "" if it may, or if there is no bound.
// `has_selector`: whether `auto` will ask one.
absl::StatusOr<std::string> ReasonAgainstReuse(Config config, bool has_selector);

}  // namespace cacheclip
