// Profiles a model and its auxiliary: which heads of each find the evidence of made-up questions. Half of the
// samples choose the heads, the other half says what they are worth beside the default layers. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "services/evaluation/eval_run.h"
#include "services/evaluation/evaluator.h"
#include "services/evaluation/head_choice.h"

namespace cacheclip {

struct TuneOptions {
  std::string tasks = "niah_multikey_1,niah_multivalue,seam,heading,two_hop";
  int num_samples = 8;  // per task
  SampleShape shape = {.context_tokens = 1500, .chunk_tokens = 256};
  double budget = 0.1;  // under which heads are judged
  uint64_t seed = 1000;
};

// On the samples that did not choose.
struct TunedHeads {
  std::vector<HeadId> heads;
  double recall = 0;          // of the evidence, by these heads
  double default_recall = 0;  // by the default layers
};

struct TuneResult {
  TunedHeads auxiliary, probe;
};

absl::StatusOr<TuneResult> Tune(Evaluator& evaluator, const TuneOptions& options,
                                const std::function<void(const EvalProgress&)>& on_progress);

// The divergence of answers by `spec` per unit of stale mass (common/select/divergence.h), on the samples
// that did not choose heads. Nothing where no answer had any.
absl::StatusOr<std::optional<double>> CalibrateDivergence(
    Evaluator& evaluator, const TuneOptions& options, const MethodSpec& spec,
    const std::function<void(const EvalProgress&)>& on_progress);

}  // namespace cacheclip
