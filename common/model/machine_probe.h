// What this machine can do at most, measured: the denominators of every benchmark (docs/architecture.md,
// "Speed"). Each part runs for about `duration` on the calling thread's OpenMP team. Functions only.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "common/model/language_model.h"

namespace cacheclip {

struct MachineLimits {
  double gemm_flops_per_second = 0;  // best matrix product of the model's rows and weights
  double attention_flops_per_second =
      0;                             // the same in the arithmetic of attention: the model's dtype or integers
  double read_bytes_per_second = 0;  // summing an array larger than the last-level cache
  double exponentials_per_second = 0;  // vectorised fp32 exp over an array in cache
  int num_threads = 0;
};

// How many threads this process's model work uses from now on, instead of one per core.
void SetComputeThreads(int num_threads);

MachineLimits MeasureMachineLimits(const LanguageModel& model,
                                   absl::Duration duration = absl::Milliseconds(300));

// Arithmetic of one pass: `num_rows` rows of which row i attends to about `mean_context` slots, and the last
// one's logits. In the last layer the other rows need keys and values only (docs/adr/0023).
struct PassCost {
  double linear_flops = 0;     // 2 · parameters in matrix products · rows, the head for one row
  double attention_flops = 0;  // 4 · heads · head_dim · layers · Σ slots attended to
  double exponentials = 0;     // one per row, head, layer and slot
};
PassCost CostOfPass(const ModelConfig& config, int64_t num_rows, double mean_context);

// Seconds the pass needs at least: the longer of products, each kind at the peak of its arithmetic, and
// exponentials at their own rate, which a kernel can overlap.
double FloorSeconds(const PassCost& cost, const MachineLimits& limits);

}  // namespace cacheclip
