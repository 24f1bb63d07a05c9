// cacheclip tune: profiles a model and its auxiliary on made-up questions. eval/tune.h does the work.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/eval/tune.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  ProgramOptions program;
  TuneOptions tune;
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

int Run(const Flags& flags, const Config& config) {
  const auto evaluator = Evaluator::Open(config);
  if (!evaluator.ok()) return ReportError(evaluator.status());
  ProgressLine progress;
  const auto result = Tune(**evaluator, flags.tune, [&](const EvalProgress& at) {
    progress.Update("tune", at.samples_done, at.num_samples);
  });
  if (!result.ok()) return ReportError(result.status());
  if (flags.program.json) {
    PrintJson({{"auxiliary", ToJson(result->auxiliary)}, {"probe", ToJson(result->probe)}});
    return kExitOk;
  }
  for (const auto& [name, tuned] : {std::pair{"auxiliary", result->auxiliary}, {"probe", result->probe}})
    std::printf("%-10s heads=%s\n           evidence selected at %g %%: %.3f, by the default layers %.3f\n",
                name, Heads(tuned.heads).c_str(), 100 * flags.tune.budget, tuned.recall,
                tuned.default_recall);
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
  app.add_flag("--json", flags->program.json, "stdout is exactly one JSON object");
  return [flags] {
    return RunWithConfig(flags->program, [&](const Config& config) { return Run(*flags, config); });
  };
}

}  // namespace cacheclip
