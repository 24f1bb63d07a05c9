// Question: how far are the answers of rounded weights from those of the weights as stored, in fp32? Each
// question is answered with full prefill by the latter; then KL(stored ‖ rounded), nats per token of that
// answer, and how often the token would be the same: full prefill with int8 weights and with what the default
// makes of `dtype: bf16` here (int16 weights where fp32 is faster), and reuse at 20 % with each.
//
//   build/dev/benchmarks/weight_formats [--samples 8] [--context 1500]
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "services/evaluation/evaluator.h"
#include "services/evaluation/tasks.h"
#include "tests/benchmarks/measure.h"
#include "tests/support/demo_model.h"

namespace cacheclip {
namespace {

constexpr double kBudget = 0.2;
constexpr int kChunkTokens = 256;
constexpr char kTasks[] = "niah_multikey_1,niah_multivalue,seam,heading";
constexpr uint64_t kSeed = 1;

struct Row {
  const char* name;
  Evaluator* evaluator;
  Method method;
  double kl = 0, agreement = 0, score = 0;
};

absl::Status Measure(Evaluator& stored, Evaluator& bf16, Evaluator& int8, int num_samples,
                     int context_tokens) {
  Row rows[] = {{"stored, auto at 20 %", &stored, Method::kAuto},
                {"bf16, full prefill", &bf16, Method::kFull},
                {"bf16, auto at 20 %", &bf16, Method::kAuto},
                {"int8, full prefill", &int8, Method::kFull},
                {"int8, auto at 20 %", &int8, Method::kAuto}};
  int count = 0;
  double full_score = 0;
  const TokenCount count_tokens = [&](std::string_view text) { return stored.CountTokens(text); };
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<const Task*> tasks, ParseTasks(kTasks));
  for (const Task* task : tasks)
    for (int index = 0; index < num_samples; ++index) {
      const EvalSample sample =
          MakeSample(*task, kSeed, index,
                     {{.context_tokens = context_tokens, .chunk_tokens = kChunkTokens}, count_tokens});
      CACHECLIP_ASSIGN_OR_RETURN(const auto prepared, stored.Prepare(sample));
      full_score += prepared->score;
      ++count;
      for (Row& row : rows) {
        // What rounded weights reuse is what they encoded.
        std::unique_ptr<PreparedSample> own;
        if (row.evaluator != &stored) {
          CACHECLIP_ASSIGN_OR_RETURN(own, row.evaluator->Prepare(sample));
          own->answer_ids = prepared->answer_ids;
          own->full_logits = prepared->full_logits;
        }
        MethodSpec spec = row.evaluator->default_spec();
        spec.method = row.method;
        CACHECLIP_ASSIGN_OR_RETURN(const MethodOutcome outcome,
                                   row.evaluator->Run(own == nullptr ? *prepared : *own, spec, kBudget));
        row.kl += outcome.kl, row.agreement += outcome.top1_agreement, row.score += outcome.score;
      }
      std::fprintf(stderr, "%s %d\n", std::string(task->id).c_str(), index);
    }
  std::printf("%d questions; full prefill with stored weights scores %.3f\n", count, full_score / count);
  std::printf("%-24s %12s %12s %8s\n", "", "KL, nats", "same token", "score");
  for (const Row& row : rows)
    std::printf("%-24s %12.5f %10.1f %% %8.3f\n", row.name, row.kl / count, 100 * row.agreement / count,
                row.score / count);
  return absl::OkStatus();
}

absl::Status Run(int argc, char** argv, const std::string& model) {
  Config config;
  config.model = model;
  config.selector = false;
  CACHECLIP_ASSIGN_OR_RETURN(const auto bf16, Evaluator::Open(config));
  config.dtype = "fp32";
  CACHECLIP_ASSIGN_OR_RETURN(const auto stored, Evaluator::Open(config));
  config.dtype = "bf16";
  config.weights = "int8";
  CACHECLIP_ASSIGN_OR_RETURN(const auto int8, Evaluator::Open(config));
  return Measure(*stored, *bf16, *int8, Argument(argc, argv, "samples", 8),
                 Argument(argc, argv, "context", 1500));
}

int Main(int argc, char** argv) {
  const auto demo = DemoModelDirectory();
  if (!demo.has_value()) {
    std::fprintf(stderr, "%s\n", kDemoModelMissing);
    return 2;
  }
  const absl::Status status = Run(argc, argv, *demo);
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace cacheclip

int main(int argc, char** argv) { return cacheclip::Main(argc, argv); }
