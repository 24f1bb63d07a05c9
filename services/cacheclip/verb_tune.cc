// cacheclip tune: profiles a model and its auxiliary on made-up questions. services/evaluation/tune.h does
// the work.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/verb.h"
#include "services/evaluation/tune.h"
#include "services/runtime/model_profile.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  ProgramOptions program;
  TuneOptions tune;
  double target_kl = 0;  // 0: none
  std::string out;
};

constexpr double kStaleWeights[] = {1, 0.6, 0.3};
constexpr double kStaleShifts[] = {0, 0.8};

std::string Heads(const std::vector<HeadId>& heads) {
  return absl::StrJoin(
      heads, "/", [](std::string* out, const HeadId& id) { absl::StrAppend(out, id.layer, ".", id.head); });
}

nlohmann::json ToJson(const TunedHeads& tuned) {
  nlohmann::json heads = nlohmann::json::array();
  for (const HeadId& id : tuned.heads) heads.push_back({id.layer, id.head});
  return {{"heads", std::move(heads)}, {"recall", tuned.recall}, {"default_recall", tuned.default_recall}};
}

// `auto` as a server would run it, by the default layers and by the heads that were found, unless these find
// no more than the default layers on samples that they have not seen; each with several stale weights, with
// and without a stale shift.
std::vector<MethodSpec> Candidates(const Evaluator& evaluator, const TuneResult& result) {
  MethodSpec usual = evaluator.default_spec();
  usual.method = Method::kAuto;
  usual.auxiliary = {};
  usual.probe = {};
  std::vector<MethodSpec> by_scores = {usual};
  MethodSpec tuned = usual;
  if (result.auxiliary.recall > result.auxiliary.default_recall)
    tuned.auxiliary.from.heads = result.auxiliary.heads;
  if (result.probe.recall > result.probe.default_recall) tuned.probe.heads = result.probe.heads;
  if (!tuned.auxiliary.from.heads.empty() || !tuned.probe.heads.empty()) by_scores.push_back(tuned);
  std::vector<MethodSpec> candidates;
  for (const MethodSpec& scores : by_scores) {
    for (const double stale_weight : kStaleWeights) {
      for (const double stale_shift : kStaleShifts) {
        candidates.push_back(scores);
        candidates.back().selection.stale_weight = stale_weight;
        candidates.back().selection.stale_shift = stale_shift;
        candidates.back().label = absl::StrCat("candidate ", candidates.size());
      }
    }
  }
  return candidates;
}

nlohmann::json ToJson(const std::vector<BudgetKl>& by_budget) {
  nlohmann::json value = nlohmann::json::array();
  for (const BudgetKl& at : by_budget) value.push_back({{"budget", at.budget}, {"kl", at.kl}});
  return value;
}

ModelProfile ProfileOf(const Evaluator& evaluator, const TuneOptions& options, const TuneResult& result,
                       const MethodSpec& chosen, const TunedAnswers& answers) {
  const ModelConfig& model = evaluator.model_config();
  return {.model = evaluator.model_name(),
          .auxiliary = evaluator.auxiliary_name(),
          .num_layers = model.num_layers,
          .num_heads = model.num_heads,
          .auxiliary_heads = chosen.auxiliary.from,
          .probe_heads = chosen.probe,
          .seam_tokens = chosen.selection.seam_tokens,  // measured with, so served with
          .recompute_depth = chosen.selection.depth,
          .stale_weight = chosen.selection.stale_weight,
          .stale_shift = chosen.selection.stale_shift,
          .local_heads = evaluator.local_heads(),  // of the profile that it runs with
          .divergence_per_stale_mass = answers.divergence_per_stale_mass,
          .measured = {{"auxiliary", ToJson(result.auxiliary)},
                       {"probe", ToJson(result.probe)},
                       {"kl", ToJson(answers.by_budget)},
                       {"tasks", options.tasks},
                       {"samples_per_task", options.num_samples},
                       {"budget", options.budget},
                       {"context_tokens", options.shape.context_tokens},
                       {"chunk_tokens", options.shape.chunk_tokens},
                       {"seed", options.seed}}};
}

void Print(const TuneResult& result, const TunedAnswers& answers, const ModelProfile& profile,
           double budget) {
  for (const auto& [name, tuned] : {std::pair{"auxiliary", result.auxiliary}, {"probe", result.probe}})
    std::printf("%-10s heads %s\n           evidence selected at %g %%: %.3f, by the default layers %.3f\n",
                name, Heads(tuned.heads).c_str(), 100 * budget, tuned.recall, tuned.default_recall);
  const bool by_heads = !profile.auxiliary_heads.heads.empty() || !profile.probe_heads.heads.empty();
  std::printf("lowest KL  by the %s, stale weight %g, stale shift %g\n",
              by_heads ? "heads" : "default layers", profile.stale_weight, profile.stale_shift.value_or(0));
  for (const BudgetKl& at : answers.by_budget)
    std::printf("budget %-4g KL %.4f nats a token\n", at.budget, at.kl);
  if (profile.divergence_per_stale_mass.has_value())
    std::printf("divergence per stale mass: %.4f nats a token\n", *profile.divergence_per_stale_mass);
}

// The level `balanced` spends what the wanted KL takes, `fast` no more than it.
void SetLevels(double target_kl, const TunedAnswers& answers, ProgressLine& progress, ModelProfile& profile) {
  const std::optional<double> budget = BudgetFor(target_kl, answers.by_budget);
  if (!budget.has_value()) {
    progress.Message(absl::StrCat("no budget up to ", answers.by_budget.back().budget, " reaches a KL of ",
                                  target_kl, "; the profile leaves the quality levels as they are"));
    return;
  }
  QualityLevels levels;
  levels.balanced = {.budget = *budget, .coverage = 1};
  levels.fast.budget = std::min(levels.fast.budget, *budget);
  profile.quality_levels = levels;
  progress.Message(absl::StrCat("quality balanced: budget ", *budget));
}

int Run(const Flags& flags, const Config& config) {
  const auto evaluator = Evaluator::Open(config);
  if (!evaluator.ok()) return ReportError(evaluator.status());
  ProgressLine progress;
  const auto result = Tune(**evaluator, flags.tune, [&](const EvalProgress& at) {
    progress.Update("heads", at.samples_done, at.num_samples);
  });
  if (!result.ok()) return ReportError(result.status());
  const std::vector<MethodSpec> candidates = Candidates(**evaluator, *result);
  const auto answers = TuneAnswers(**evaluator, flags.tune, candidates, [&](const EvalProgress& at) {
    progress.Update("answers", at.samples_done, at.num_samples);
  });
  if (!answers.ok()) return ReportError(answers.status());
  ModelProfile profile = ProfileOf(**evaluator, flags.tune, *result, candidates[answers->chosen], *answers);
  if (flags.target_kl > 0) SetLevels(flags.target_kl, *answers, progress, profile);
  if (!flags.out.empty()) {
    const absl::Status saved = SaveModelProfile(profile, flags.out);
    if (!saved.ok()) return ReportError(saved);
    progress.Message(absl::StrCat("profile written to ", flags.out));
  }
  if (flags.program.json)
    PrintJson(ToJson(profile));
  else
    Print(*result, *answers, profile, flags.tune.budget);
  return kExitOk;
}

}  // namespace

VerbRun AddTune(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  AddSettings(app, &flags->program);
  TuneOptions& tune = flags->tune;
  app.add_option("--tasks", tune.tasks, "made-up questions to profile on")->capture_default_str();
  app.add_option("--samples", tune.num_samples, "per task")
      ->capture_default_str()
      ->check(CLI::Range(2, 10000));
  app.add_option("--context", tune.shape.context_tokens, "chunk tokens of a sample")
      ->capture_default_str()
      ->check(CLI::Range(64, 1 << 20));
  app.add_option("--chunk", tune.shape.chunk_tokens, "tokens per chunk")
      ->capture_default_str()
      ->check(CLI::Range(32, 1 << 17));
  app.add_option("--budget", tune.budget, "under which heads are judged")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 0.9));
  app.add_option(
         "--target-kl", flags->target_kl,
         "mean KL to full prefill, nats a token, that the quality `balanced` is to reach: the profile "
         "gives it the smallest budget that does")
      ->check(CLI::Range(1e-6, 10.0));
  app.add_option("--seed", tune.seed, "of the questions")->capture_default_str();
  app.add_option(
      "--out", flags->out,
      "write the profile here; servers read cacheclip_profile.json in the model's folder, or the setting "
      "profile");
  app.add_flag("--json", flags->program.json, "stdout is exactly one JSON object");
  return [flags] {
    return RunWithConfig(flags->program, [&](const Config& config) { return Run(*flags, config); });
  };
}

}  // namespace cacheclip
