#include "services/evaluation/eval_run.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "services/evaluation/eval_records.h"
#include "services/evaluation/qa_file.h"
#include "services/evaluation/sample_file.h"

namespace cacheclip {
namespace {

// A method at a budget; methods without one have a single cell.
struct Cell {
  const MethodSpec* spec;
  double budget;
};

std::vector<Cell> CellsOf(const std::vector<MethodSpec>& specs, const std::vector<double>& budgets) {
  std::vector<Cell> cells;
  for (const MethodSpec& spec : specs) {
    if (!spec.has_budget()) cells.push_back({&spec, spec.method == Method::kFull ? 1.0 : 0.0});
    if (spec.has_budget())
      for (const double budget : budgets) cells.push_back({&spec, budget});
  }
  return cells;
}

// What runs in truth: with a selector `auto` is another name of `auxiliary`, settings included.
std::string RunsAs(const MethodSpec& spec, bool has_selector) {
  if (spec.method != Method::kAuto || !has_selector) return spec.label;
  return absl::StrCat(AbslView(MethodId(Method::kAuxiliary)),
                      spec.label.substr(MethodId(Method::kAuto).size()));
}

struct ShapedSample {
  EvalSample sample;
  SampleShape shape;
};

class EvalRun {
 public:
  EvalRun(Evaluator& evaluator, const EvalOptions& options, RecordFile& records, std::vector<Cell> cells)
      : evaluator_(evaluator), options_(options), records_(records), cells_(std::move(cells)) {}

  // The cells of one sample that are not there yet.
  absl::Status Measure(const ShapedSample& shaped) {
    const EvalSample& sample = shaped.sample;
    std::unique_ptr<PreparedSample> prepared;
    for (const Cell& cell : cells_) {
      nlohmann::json name = Name(shaped, cell);
      if (const nlohmann::json* known = records_.Find(RecordKey(name))) {
        results_.push_back(*known);
        continue;
      }
      if (const nlohmann::json* same = FindUnderAnotherName(shaped, cell)) {
        nlohmann::json record = *same;
        record.update(name);
        results_.push_back(record);
        CACHECLIP_RETURN_IF_ERROR(records_.Append(std::move(record)));
        continue;
      }
      if (prepared == nullptr) {
        CACHECLIP_ASSIGN_OR_RETURN(prepared, evaluator_.Prepare(sample));
      }
      const absl::StatusOr<MethodOutcome> outcome = evaluator_.Run(*prepared, *cell.spec, cell.budget);
      // A budget that does not pay for a method's own overhead is a gap in the table, not the end of the run.
      if (absl::IsInvalidArgument(outcome.status())) continue;
      CACHECLIP_RETURN_IF_ERROR(outcome.status());
      nlohmann::json record = MakeRecord(*prepared, *cell.spec, cell.budget, *outcome);
      record.update(name);
      results_.push_back(record);
      CACHECLIP_RETURN_IF_ERROR(records_.Append(std::move(record)));
    }
    return absl::OkStatus();
  }

  std::vector<nlohmann::json> TakeResults() { return std::move(results_); }

 private:
  nlohmann::json Name(const ShapedSample& shaped, const Cell& cell) const {
    return {{"task", shaped.sample.task},
            {"sample", shaped.sample.index},
            {"method", cell.spec->label},
            {"budget", cell.budget},
            {"seed", options_.seed},
            {"context", shaped.shape.context_tokens},
            {"chunk", shaped.shape.chunk_tokens},
            {"model", evaluator_.model_name()},
            {"auxiliary", evaluator_.auxiliary_name()}};
  }

  // The line of a cell that runs the very same, null if there is none yet.
  const nlohmann::json* FindUnderAnotherName(const ShapedSample& shaped, const Cell& cell) const {
    const bool has_selector = !evaluator_.auxiliary_name().empty();
    for (const Cell& other : cells_) {
      if (other.spec->label == cell.spec->label || other.budget != cell.budget) continue;
      if (RunsAs(*other.spec, has_selector) != RunsAs(*cell.spec, has_selector)) continue;
      if (const nlohmann::json* record = records_.Find(RecordKey(Name(shaped, other)))) return record;
    }
    return nullptr;
  }

  Evaluator& evaluator_;
  const EvalOptions& options_;
  RecordFile& records_;
  const std::vector<Cell> cells_;
  std::vector<nlohmann::json> results_;
};

// What the options name, checked before a model is loaded.
struct Questions {
  std::vector<const Task*> tasks;
  std::vector<EvalSample> from_file;
};

absl::StatusOr<Questions> FindQuestions(const EvalOptions& options) {
  Questions questions;
  CACHECLIP_ASSIGN_OR_RETURN(questions.tasks, ParseTasks(options.tasks));
  if (!options.qa_file.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(questions.from_file, ReadQaFile(options.qa_file));
  }
  if (questions.tasks.empty() && questions.from_file.empty())
    return InvalidField("tasks", "must name at least one");
  return questions;
}

// Of samples at the `index`th chunk size.
SampleShape ShapeOf(const EvalOptions& options, size_t index) {
  return {.context_tokens = options.context_tokens, .chunk_tokens = options.chunk_tokens[index]};
}

// In the order in which they are measured: all tasks get their first sample before any gets its second, so
// that a run that is stopped has something about each. Passages of a file have the sizes they have.
std::vector<ShapedSample> MakeSamples(const EvalOptions& options, const Questions& questions,
                                      const TokenCount& count_tokens) {
  std::vector<ShapedSample> samples;
  for (int index = 0; index < options.num_samples; ++index) {
    for (size_t size = 0; size < options.chunk_tokens.size(); ++size) {
      const SampleShape shape = ShapeOf(options, size);
      for (const Task* task : questions.tasks)
        samples.push_back({MakeSample(*task, options.seed, index, {shape, count_tokens}), shape});
    }
    if (index < static_cast<int>(questions.from_file.size()))
      samples.push_back({questions.from_file[static_cast<size_t>(index)], ShapeOf(options, 0)});
  }
  return samples;
}

}  // namespace

absl::StatusOr<std::vector<nlohmann::json>> RunEvaluation(
    Config config, const EvalOptions& options, const std::function<void(const EvalProgress&)>& on_progress) {
  CACHECLIP_ASSIGN_OR_RETURN(const Questions questions, FindQuestions(options));
  CACHECLIP_RETURN_IF_ERROR(ParseMethodSpecs(options.methods, {}).status());
  CACHECLIP_ASSIGN_OR_RETURN(RecordFile records, RecordFile::Open(options.out, options.resume));
  CACHECLIP_ASSIGN_OR_RETURN(auto evaluator, Evaluator::Open(std::move(config)));
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<MethodSpec> specs,
                             ParseMethodSpecs(options.methods, evaluator->default_spec()));
  const TokenCount count_tokens = [&](std::string_view text) { return evaluator->CountTokens(text); };
  const std::vector<ShapedSample> samples = MakeSamples(options, questions, count_tokens);
  EvalRun run(*evaluator, options, records, CellsOf(specs, options.budgets));
  EvalProgress progress{.num_samples = static_cast<int>(samples.size())};
  for (const ShapedSample& shaped : samples) {
    CACHECLIP_RETURN_IF_ERROR(run.Measure(shaped));
    ++progress.samples_done;
    progress.task = shaped.sample.task;
    if (on_progress) on_progress(progress);
  }
  return run.TakeResults();
}

absl::StatusOr<int> WriteSamples(Config config, const EvalOptions& options, const std::string& path) {
  CACHECLIP_ASSIGN_OR_RETURN(const Questions questions, FindQuestions(options));
  if (std::filesystem::exists(path))
    return FieldError(absl::StatusCode::kAlreadyExists, "write-samples", absl::StrCat(path, " exists"));
  config.selector = false;  // nobody scores
  CACHECLIP_ASSIGN_OR_RETURN(auto evaluator, Evaluator::Open(std::move(config)));
  std::ofstream file(path, std::ios::binary);
  if (!file) return InvalidField("write-samples", absl::StrCat("cannot write ", path));
  const TokenCount count_tokens = [&](std::string_view text) { return evaluator->CountTokens(text); };
  int num_written = 0;
  for (const ShapedSample& shaped : MakeSamples(options, questions, count_tokens)) {
    CACHECLIP_ASSIGN_OR_RETURN(const auto laid_out, evaluator->LayOut(shaped.sample));
    nlohmann::json line = SampleToJson(*evaluator, *laid_out);
    line["seed"] = options.seed;
    line["context"] = shaped.shape.context_tokens;
    line["chunk"] = shaped.shape.chunk_tokens;
    file << line.dump() << "\n";
    ++num_written;
  }
  file.close();
  if (!file)
    return absl::ResourceExhaustedError(absl::StrCat("cannot write to ", path, ": is the disk full?"));
  return num_written;
}

}  // namespace cacheclip
