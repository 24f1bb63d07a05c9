// Profiles a model and its auxiliary on made-up questions: which heads of each find the evidence, how much
// stale tokens are to be heard, which budget reaches which KL. Half of the samples choose, the other half
// says what the choice is worth. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/evaluation/eval_run.h"
#include "services/evaluation/evaluator.h"
#include "services/evaluation/head_choice.h"

namespace cacheclip {

struct TuneOptions {
  std::string tasks = "niah_multikey_1,niah_multivalue,seam,heading,two_hop";
  int num_samples = 8;  // per task
  SampleShape shape = {.context_tokens = 1500, .chunk_tokens = 256};
  double budget = 0.1;  // under which heads are judged; candidates of TuneAnswers() also at twice that
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

// Mean KL to full prefill, nats per token of answer.
struct BudgetKl {
  double budget = 0, kl = 0;
};

struct TunedAnswers {
  std::vector<double> candidate_kl;  // of each candidate, on the samples that choose
  size_t chosen = 0;                 // the candidate with the lowest of them; the first of equals
  // Of the chosen one, on the samples that did not choose.
  std::vector<BudgetKl> by_budget;                  // kTunedBudgets
  std::optional<double> divergence_per_stale_mass;  // of common/select/divergence.h; nothing where no answer
                                                    // had stale mass
};

inline constexpr double kTunedBudgets[] = {0.05, 0.1, 0.15, 0.2, 0.3, 0.4};

// Which of `candidates` (not empty, their labels differ) answers most like full prefill, and how closely.
absl::StatusOr<TunedAnswers> TuneAnswers(Evaluator& evaluator, const TuneOptions& options,
                                         std::span<const MethodSpec> candidates,
                                         const std::function<void(const EvalProgress&)>& on_progress);

// The smallest budget whose KL is at most `target_kl`; nothing if none reaches it.
std::optional<double> BudgetFor(double target_kl, std::span<const BudgetKl> by_budget);

}  // namespace cacheclip
