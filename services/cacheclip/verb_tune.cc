// cacheclip tune: profiles a model and its auxiliary on made-up questions. services/evaluation/tune.h does
// the work.
#include <cstdio>
#include <memory>
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
  std::string out;
};

std::string Heads(const std::vector<HeadId>& heads) {
  return absl::StrJoin(
      heads, "/", [](std::string* out, const HeadId& id) { absl::StrAppend(out, id.layer, ".", id.head); });
}

nlohmann::json ToJson(const TunedHeads& tuned) {
  nlohmann::json heads = nlohmann::json::array();
  for (const HeadId& id : tuned.heads) heads.push_back({id.layer, id.head});
  return {{"heads", std::move(heads)}, {"recall", tuned.recall}, {"default_recall", tuned.default_recall}};
}

// Heads that do not beat the default layers on samples they have not seen are left out.
ScoringHeads WorthKeeping(const TunedHeads& tuned) {
  ScoringHeads heads;
  if (tuned.recall > tuned.default_recall) heads.heads = tuned.heads;
  return heads;
}

ModelProfile ProfileOf(const Evaluator& evaluator, const TuneOptions& options, const TuneResult& result) {
  const ModelConfig& model = evaluator.model_config();
  return {.model = evaluator.model_name(),
          .auxiliary = evaluator.auxiliary_name(),
          .num_layers = model.num_layers,
          .num_heads = model.num_heads,
          .auxiliary_heads = WorthKeeping(result.auxiliary),
          .probe_heads = WorthKeeping(result.probe),
          .seam_tokens = evaluator.default_spec().selection.seam_tokens,  // measured with, so served with
          .recompute_depth = evaluator.default_spec().selection.depth,
          .measured = {{"auxiliary", ToJson(result.auxiliary)},
                       {"probe", ToJson(result.probe)},
                       {"tasks", options.tasks},
                       {"samples_per_task", options.num_samples},
                       {"budget", options.budget},
                       {"context_tokens", options.shape.context_tokens},
                       {"chunk_tokens", options.shape.chunk_tokens},
                       {"seed", options.seed}}};
}

// `auto` as a server with this profile runs it.
MethodSpec SpecOf(const Evaluator& evaluator, const ModelProfile& profile) {
  MethodSpec spec = evaluator.default_spec();
  spec.label = "tuned";
  spec.method = Method::kAuto;
  spec.auxiliary = {.from = profile.auxiliary_heads};
  spec.probe = profile.probe_heads;
  return spec;
}

void Print(const TuneResult& result, const ModelProfile& profile, double budget) {
  for (const auto& [name, tuned] : {std::pair{"auxiliary", result.auxiliary}, {"probe", result.probe}})
    std::printf("%-10s heads %s\n           evidence selected at %g %%: %.3f, by the default layers %.3f\n",
                name, Heads(tuned.heads).c_str(), 100 * budget, tuned.recall, tuned.default_recall);
  if (profile.divergence_per_stale_mass.has_value())
    std::printf("divergence per stale mass: %.4f nats a token\n", *profile.divergence_per_stale_mass);
}

int Run(const Flags& flags, const Config& config) {
  const auto evaluator = Evaluator::Open(config);
  if (!evaluator.ok()) return ReportError(evaluator.status());
  ProgressLine progress;
  const auto result = Tune(**evaluator, flags.tune, [&](const EvalProgress& at) {
    progress.Update("tune", at.samples_done, at.num_samples);
  });
  if (!result.ok()) return ReportError(result.status());
  ModelProfile profile = ProfileOf(**evaluator, flags.tune, *result);
  const auto divergence = CalibrateDivergence(
      **evaluator, flags.tune, SpecOf(**evaluator, profile),
      [&](const EvalProgress& at) { progress.Update("divergence", at.samples_done, at.num_samples); });
  if (!divergence.ok()) return ReportError(divergence.status());
  profile.divergence_per_stale_mass = *divergence;
  if (!flags.out.empty()) {
    const absl::Status saved = SaveModelProfile(profile, flags.out);
    if (!saved.ok()) return ReportError(saved);
    progress.Message(absl::StrCat("profile written to ", flags.out));
  }
  if (flags.program.json)
    PrintJson(ToJson(profile));
  else
    Print(*result, profile, flags.tune.budget);
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
