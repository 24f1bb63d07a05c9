#include "services/evaluation/tune.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "services/evaluation/divergence_fit.h"

namespace cacheclip {
namespace {

struct Observations {
  std::vector<HeadObservation> choosing, judging;

  void Add(HeadObservation observation, bool chooses) {
    (chooses ? choosing : judging).push_back(std::move(observation));
  }
};

std::vector<HeadId> HeadsOf(LayerBand band, const HeadObservation& observation) {
  std::vector<HeadId> heads;
  for (const HeadScores& head : observation.heads)
    if (head.id.layer >= band.begin && head.id.layer < band.end) heads.push_back(head.id);
  return heads;
}

absl::StatusOr<TunedHeads> TuneOne(const Observations& observations, int num_layers,
                                   const SelectionOptions& selection) {
  CACHECLIP_ASSIGN_OR_RETURN(HeadChoice choice, ChooseHeads(observations.choosing, selection));
  TunedHeads tuned{.heads = std::move(choice.heads)};
  CACHECLIP_ASSIGN_OR_RETURN(tuned.recall, RecallOf(observations.judging, tuned.heads, selection));
  const std::vector<HeadId> usual = HeadsOf(DefaultScoringBand(num_layers), observations.judging.front());
  CACHECLIP_ASSIGN_OR_RETURN(tuned.default_recall, RecallOf(observations.judging, usual, selection));
  return tuned;
}

// Every other sample chooses heads, the rest judges.
bool Chooses(int index) { return index % 2 == 0; }

}  // namespace

absl::StatusOr<TuneResult> Tune(Evaluator& evaluator, const TuneOptions& options,
                                const std::function<void(const EvalProgress&)>& on_progress) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<const Task*> tasks, ParseTasks(options.tasks));
  const TokenCount count_tokens = [&](std::string_view text) { return evaluator.CountTokens(text); };
  const SampleContext context{options.shape, count_tokens};
  Observations auxiliary, probe;
  EvalProgress progress{.num_samples = options.num_samples * static_cast<int>(tasks.size())};
  for (int index = 0; index < options.num_samples; ++index) {
    for (const Task* task : tasks) {
      EvalSample sample = MakeSample(*task, options.seed, index, context);
      sample.max_new_tokens = 1;  // nobody reads the answer
      CACHECLIP_ASSIGN_OR_RETURN(const auto prepared, evaluator.Prepare(sample));
      const bool chooses = Chooses(index);
      HeadObservation observation{.map = prepared->prompt.tokens.context_map(),
                                  .evidence = evaluator.EvidenceTokens(*prepared)};
      ++progress.samples_done;
      if (on_progress) on_progress(progress);
      if (observation.evidence.empty()) continue;  // all of it in the first chunk
      CACHECLIP_ASSIGN_OR_RETURN(observation.heads, evaluator.ScoreAuxiliaryHeads(*prepared));
      auxiliary.Add(observation, chooses);
      CACHECLIP_ASSIGN_OR_RETURN(observation.heads, evaluator.ScorePrimaryHeads(*prepared));
      probe.Add(std::move(observation), chooses);
    }
  }
  if (auxiliary.choosing.empty() || auxiliary.judging.empty())
    return InvalidField("samples", "are too few: none has its evidence behind the first chunk");
  SelectionOptions selection = evaluator.default_spec().selection;
  selection.budget = options.budget;
  TuneResult result;
  CACHECLIP_ASSIGN_OR_RETURN(
      result.auxiliary, TuneOne(auxiliary, static_cast<int>(evaluator.model_config().num_layers), selection));
  CACHECLIP_ASSIGN_OR_RETURN(
      result.probe, TuneOne(probe, static_cast<int>(evaluator.model_config().num_layers), selection));
  return result;
}

absl::StatusOr<TunedAnswers> TuneAnswers(Evaluator& evaluator, const TuneOptions& options,
                                         std::span<const MethodSpec> candidates,
                                         const std::function<void(const EvalProgress&)>& on_progress) {
  EvalProgress progress;
  const auto for_each = [&](bool choosing, auto&& measure) -> absl::Status {
    CACHECLIP_ASSIGN_OR_RETURN(const std::vector<const Task*> tasks, ParseTasks(options.tasks));
    const TokenCount count_tokens = [&](std::string_view text) { return evaluator.CountTokens(text); };
    const SampleContext context{options.shape, count_tokens};
    progress.num_samples = options.num_samples * static_cast<int>(tasks.size());
    for (int index = 0; index < options.num_samples; ++index) {
      if (Chooses(index) != choosing) continue;
      for (const Task* task : tasks) {
        CACHECLIP_ASSIGN_OR_RETURN(const auto prepared,
                                   evaluator.Prepare(MakeSample(*task, options.seed, index, context)));
        CACHECLIP_RETURN_IF_ERROR(measure(*prepared));
        ++progress.samples_done;
        if (on_progress) on_progress(progress);
      }
    }
    return absl::OkStatus();
  };

  TunedAnswers tuned{.candidate_kl = std::vector<double>(candidates.size(), 0.0)};
  int64_t num_choosing = 0, num_judging = 0;
  CACHECLIP_RETURN_IF_ERROR(for_each(true, [&](const PreparedSample& prepared) -> absl::Status {
    ++num_choosing;
    for (size_t i = 0; i < candidates.size(); ++i) {
      for (const double budget : {options.budget, std::min(2 * options.budget, 0.9)}) {
        CACHECLIP_ASSIGN_OR_RETURN(const MethodOutcome outcome,
                                   evaluator.Run(prepared, candidates[i], budget));
        tuned.candidate_kl[i] += outcome.kl / 2;
      }
    }
    return absl::OkStatus();
  }));
  for (double& kl : tuned.candidate_kl) kl /= static_cast<double>(num_choosing);
  tuned.chosen =
      static_cast<size_t>(std::ranges::min_element(tuned.candidate_kl) - tuned.candidate_kl.begin());

  for (const double budget : kTunedBudgets) tuned.by_budget.push_back({.budget = budget});
  DivergenceFit fit;
  CACHECLIP_RETURN_IF_ERROR(for_each(false, [&](const PreparedSample& prepared) -> absl::Status {
    ++num_judging;
    for (BudgetKl& at : tuned.by_budget) {
      CACHECLIP_ASSIGN_OR_RETURN(const MethodOutcome outcome,
                                 evaluator.Run(prepared, candidates[tuned.chosen], at.budget));
      at.kl += outcome.kl;
      if (outcome.stale_mass_share.has_value()) fit.Add(*outcome.stale_mass_share, outcome.kl);
    }
    return absl::OkStatus();
  }));
  for (BudgetKl& at : tuned.by_budget) at.kl /= static_cast<double>(std::max<int64_t>(num_judging, 1));
  tuned.divergence_per_stale_mass = fit.per_stale_mass();
  return tuned;
}

std::optional<double> BudgetFor(double target_kl, std::span<const BudgetKl> by_budget) {
  for (const BudgetKl& at : by_budget)
    if (at.kl <= target_kl) return at.budget;
  return std::nullopt;
}

}  // namespace cacheclip
