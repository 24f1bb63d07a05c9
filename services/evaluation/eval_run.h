// A matrix of tasks × methods × budgets × samples, one JSON line per cell, written as soon as it is known: a
// run that was stopped goes on where it was. The line's fields are listed in docs/evaluation.md. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "services/evaluation/evaluator.h"
#include "services/evaluation/tasks.h"

namespace cacheclip {

struct EvalOptions {
  std::string tasks = "niah_multikey_1,seam";
  std::string methods = "auto,none";
  std::vector<double> budgets = {0.1, 0.2};
  int num_samples = 12;
  int context_tokens = 3000;
  std::vector<int> chunk_tokens = {512};  // the same tasks at each chunk size
  uint64_t seed = 1;
  std::string out;      // JSON lines; empty: nothing is kept
  bool resume = false;  // keep what `out` holds and add what is missing
  std::string qa_file;  // questions with passages (qa_file.h), as task `qa`
};

// Every cell that the options ask for, those that `out` held already included. `on_progress` is called after
// each sample. INVALID_ARGUMENT names the option; FAILED_PRECONDITION: `out` exists and `resume` is not set,
// or holds another model's lines.
struct EvalProgress {
  int samples_done = 0, num_samples = 0;
  std::string task;
};
absl::StatusOr<std::vector<nlohmann::json>> RunEvaluation(
    Config config, const EvalOptions& options, const std::function<void(const EvalProgress&)>& on_progress);

// Writes the samples themselves (sample_file.h) into a new file `path`, measuring nothing. INVALID_ARGUMENT
// names the option; ALREADY_EXISTS: the file is there.
absl::StatusOr<int> WriteSamples(Config config, const EvalOptions& options, const std::string& path);

}  // namespace cacheclip
