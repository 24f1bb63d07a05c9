// cacheclip eval: how close each method's answers come to full prefill's, on tasks that are made up here or
// read from a file. services/evaluation does the work.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/verb.h"
#include "services/evaluation/comparison.h"
#include "services/evaluation/eval_records.h"
#include "services/evaluation/eval_run.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  ProgramOptions program;
  EvalOptions eval;
  std::string compare;        // an older file of lines
  double margin = 0;          // of the comparison
  std::string write_samples;  // instead of measuring
};

// Means over the samples of one task, method and budget.
struct Row {
  int num_samples = 0, num_counting = 0;  // counting: full prefill answers it exactly
  double kl = 0, score = 0, charged = 0, seconds = 0, full_seconds = 0;

  void Add(const nlohmann::json& record) {
    ++num_samples;
    kl += record["kl"].get<double>();
    charged += record["charged_budget"].get<double>();
    seconds += record["seconds"].get<double>();
    full_seconds += record["full_seconds"].get<double>();
    if (record["full_score"].get<double>() < 1) return;
    ++num_counting;
    score += record["score"].get<double>();
  }
};

using RowKey = std::tuple<std::string, std::string, double>;  // task, method, budget

std::map<RowKey, Row> Summarise(const std::vector<nlohmann::json>& records) {
  std::map<RowKey, Row> rows;
  for (const nlohmann::json& record : records)
    rows[{record["task"], record["method"], record["budget"]}].Add(record);
  return rows;
}

nlohmann::json ToJson(const std::map<RowKey, Row>& rows) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [key, row] : rows) {
    const auto& [task, method, budget] = key;
    list.push_back(
        {{"task", task},
         {"method", method},
         {"budget", budget},
         {"samples", row.num_samples},
         {"counting_samples", row.num_counting},
         {"accuracy", row.num_counting > 0 ? nlohmann::json(row.score / row.num_counting) : nullptr},
         {"kl", row.kl / row.num_samples},
         {"charged_budget", row.charged / row.num_samples},
         {"seconds", row.seconds / row.num_samples},
         {"full_seconds", row.full_seconds / row.num_samples}});
  }
  return {{"rows", std::move(list)}};
}

void PrintTable(const std::map<RowKey, Row>& rows) {
  std::printf("%-16s %-24s %7s %8s %9s %9s %9s %8s\n", "task", "method", "budget", "charged", "KL",
              "accuracy", "counting", "speed-up");
  for (const auto& [key, row] : rows) {
    const auto& [task, method, budget] = key;
    const std::string accuracy =
        row.num_counting > 0 ? absl::StrCat(static_cast<int>(100 * row.score / row.num_counting + 0.5), " %")
                             : "-";
    std::printf("%-16s %-24s %7.3f %8.3f %9.4f %9s %5d/%-3d %7.2fx\n", task.c_str(), method.c_str(), budget,
                row.charged / row.num_samples, row.kl / row.num_samples, accuracy.c_str(), row.num_counting,
                row.num_samples, row.seconds > 0 ? row.full_seconds / row.seconds : 0);
  }
}

nlohmann::json ToJson(const std::vector<KlChange>& changes) {
  nlohmann::json list = nlohmann::json::array();
  for (const KlChange& change : changes)
    list.push_back({{"method", change.method},
                    {"budget", change.budget},
                    {"samples", change.num_samples},
                    {"old_kl", change.old_kl},
                    {"new_kl", change.new_kl},
                    {"difference_low", change.low},
                    {"difference_high", change.high},
                    {"worse", change.is_worse()}});
  return list;
}

void PrintChanges(const std::vector<KlChange>& changes) {
  std::printf("\n%-32s %7s %8s %9s %9s  %s\n", "KL of the same samples", "budget", "samples", "old", "new",
              "difference, 95 % interval");
  for (const KlChange& change : changes)
    std::printf("%-32s %7.3f %8d %9.4f %9.4f  [%+.4f, %+.4f]%s\n", change.method.c_str(), change.budget,
                change.num_samples, change.old_kl, change.new_kl, change.low, change.high,
                change.is_worse() ? " worse" : "");
}

int WriteSampleFile(const Flags& flags, const Config& config) {
  const auto num_written = WriteSamples(config, flags.eval, flags.write_samples);
  if (!num_written.ok()) return ReportError(num_written.status());
  if (flags.program.json) PrintJson({{"samples", *num_written}, {"file", flags.write_samples}});
  return kExitOk;
}

int Run(const Flags& flags, const Config& config) {
  if (!flags.write_samples.empty()) return WriteSampleFile(flags, config);
  std::vector<nlohmann::json> old_records;
  if (!flags.compare.empty()) {
    auto read = ReadRecords(flags.compare);
    if (!read.ok()) return ReportError(read.status());
    old_records = *std::move(read);
  }
  ProgressLine progress;
  const auto records = RunEvaluation(config, flags.eval, [&](const EvalProgress& at) {
    progress.Update("eval", at.samples_done, at.num_samples);
  });
  if (!records.ok()) return ReportError(records.status());
  const std::map<RowKey, Row> rows = Summarise(*records);
  const std::vector<KlChange> changes = CompareKl(old_records, *records, flags.margin);
  if (flags.program.json) {
    nlohmann::json result = ToJson(rows);
    if (!flags.compare.empty()) result["compared"] = ToJson(changes);
    PrintJson(result);
  } else {
    PrintTable(rows);
    if (!flags.compare.empty()) PrintChanges(changes);
  }
  return std::ranges::any_of(changes, &KlChange::is_worse) ? kExitFailure : kExitOk;
}

std::string TaskHelp() {
  std::string help = "all, or of";
  for (const Task& task : AllTasks()) absl::StrAppend(&help, " ", std::string(task.id));
  return help;
}

}  // namespace

VerbRun AddEval(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  AddSettings(app, &flags->program);
  EvalOptions& eval = flags->eval;
  app.add_option("--tasks", eval.tasks, TaskHelp())->capture_default_str();
  app.add_option("--methods", eval.methods,
                 absl::StrCat(KnownMethodIds(), "; with settings: METHOD+", MethodSettingsHelp()))
      ->capture_default_str();
  app.add_option("--budgets", eval.budgets, "shares of chunk tokens to recompute")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--samples", eval.num_samples, "per task")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  app.add_option("--context", eval.context_tokens, "chunk tokens of a sample")
      ->capture_default_str()
      ->check(CLI::Range(64, 1 << 20));
  app.add_option("--chunk", eval.chunk_tokens, "tokens per chunk; several sizes: 256,512")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(32, 1 << 17));
  app.add_option("--seed", eval.seed, "another seed, other samples")->capture_default_str();
  app.add_option("--qa-file", eval.qa_file, "MuSiQue, HotpotQA, 2WikiMultihopQA or LongBench file: task qa");
  app.add_option("--out", eval.out, "JSON line per sample, method and budget, written as it is known");
  app.add_flag("--resume", eval.resume, "go on with --out");
  app.add_option(
      "--compare", flags->compare,
      "lines of an earlier --out: the KL of the same samples then and now; exit code 1 if one is worse");
  app.add_option(
         "--margin", flags->margin,
         "--compare: a rise by this share of the old mean KL is not worse yet (another machine rounds in "
         "other ways)")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 10.0));
  app.add_option("--write-samples", flags->write_samples,
                 "measure nothing: write the samples as token ids, JSON lines, into a new file");
  app.add_flag("--json", flags->program.json, "stdout is exactly one JSON object");
  return [flags] {
    return RunWithConfig(flags->program, [&](const Config& config) { return Run(*flags, config); });
  };
}

}  // namespace cacheclip
