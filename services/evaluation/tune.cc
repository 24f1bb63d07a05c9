#include "services/evaluation/tune.h"

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

absl::StatusOr<std::optional<double>> CalibrateDivergence(
    Evaluator& evaluator, const TuneOptions& options, const MethodSpec& spec,
    const std::function<void(const EvalProgress&)>& on_progress) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<const Task*> tasks, ParseTasks(options.tasks));
  const TokenCount count_tokens = [&](std::string_view text) { return evaluator.CountTokens(text); };
  const SampleContext context{options.shape, count_tokens};
  DivergenceFit fit;
  EvalProgress progress{.num_samples = options.num_samples / 2 * static_cast<int>(tasks.size())};
  for (int index = 0; index < options.num_samples; ++index) {
    if (Chooses(index)) continue;
    for (const Task* task : tasks) {
      CACHECLIP_ASSIGN_OR_RETURN(const auto prepared,
                                 evaluator.Prepare(MakeSample(*task, options.seed, index, context)));
      CACHECLIP_ASSIGN_OR_RETURN(const MethodOutcome outcome, evaluator.Run(*prepared, spec, options.budget));
      if (outcome.stale_mass_share.has_value()) fit.Add(*outcome.stale_mass_share, outcome.kl);
      ++progress.samples_done;
      if (on_progress) on_progress(progress);
    }
  }
  return fit.per_stale_mass();
}

}  // namespace cacheclip
