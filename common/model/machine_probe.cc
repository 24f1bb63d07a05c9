#include "common/model/machine_probe.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/sum.h>
#include <c10/core/InferenceMode.h>

#include "absl/time/clock.h"
#include "common/model/elementwise.h"
#include "common/model/kv_cache.h"
#include "common/model/linear_weights.h"
#include "common/model/weights.h"

namespace cacheclip {
namespace {

// Best rate of `work` (units per call) over repeated calls: the machine's limit, not its average under other
// load.
template <typename Work>
double BestRate(absl::Duration duration, double units, Work work) {
  work();
  double best = 0;
  const absl::Time end = absl::Now() + duration;
  do {
    const absl::Time begin = absl::Now();
    work();
    best = std::max(best, units / absl::ToDoubleSeconds(absl::Now() - begin));
  } while (absl::Now() < end);
  return best;
}

}  // namespace

void SetComputeThreads(int num_threads) { at::set_num_threads(num_threads); }

MachineLimits MeasureMachineLimits(const LanguageModel& model, absl::Duration duration) {
  const c10::InferenceMode inference;
  const auto options = at::TensorOptions().device(model.tensors().device);
  const auto typed = options.dtype(model.tensors().dtype);
  constexpr int64_t kRows = 1024, kColumns = 1536, kInner = 1024;
  const at::Tensor x = at::rand({kRows, kInner}, options).to(typed),
                   w = at::rand({kColumns, kInner}, options).to(typed);
  constexpr int64_t kBigElements = int64_t{32} << 20;  // 128 MiB of fp32
  const at::Tensor big = at::rand({kBigElements}, options);
  // Few enough that libtorch keeps them on one thread and in its cache: what one core does, times the cores.
  const at::Tensor small = at::rand({int64_t{16} << 10}, options);
  at::Tensor exponentials = at::empty_like(small);
  MachineLimits limits;
  limits.num_threads = at::get_num_threads();
  // libtorch's product or ours, whichever is faster here.
  constexpr double kFlops = 2.0 * kRows * kColumns * kInner;
  const double torch = BestRate(duration, kFlops, [&] { at::linear(x, w); });
  const auto rate_of = [&](WeightRounding rounding) {
    const LinearWeights ours(
        w, {}, {.dtype = model.tensors().dtype, .device = model.tensors().device, .rounding = rounding});
    return std::max(torch, BestRate(duration, kFlops, [&] { ours.Apply(x); }));
  };
  const WeightRounding products = model.tensors().rounding,
                       attention = KvCache::IsRounded(model) ? products : WeightRounding::kNone;
  limits.attention_flops_per_second = rate_of(attention);
  limits.gemm_flops_per_second = limits.attention_flops_per_second;
  if (products != attention)
    limits.gemm_flops_per_second = std::max(limits.gemm_flops_per_second, rate_of(products));
  limits.read_bytes_per_second = BestRate(duration, 4.0 * kBigElements, [&] { at::sum(big); });
  const double torch_exponentials =
      BestRate(duration, static_cast<double>(small.numel()), [&] { at::exp_out(exponentials, small); });
  const at::Tensor gate_up = at::rand({kRows, 2 * kColumns}, options).to(typed);  // an exponential per output
  limits.exponentials_per_second =
      std::max(limits.num_threads * torch_exponentials,
               BestRate(duration, static_cast<double>(kRows * kColumns), [&] { SwiGlu(gate_up); }));
  return limits;
}

PassCost CostOfPass(const ModelConfig& config, int64_t num_rows, double mean_context) {
  const double rows = static_cast<double>(num_rows), layers = static_cast<double>(config.num_layers);
  const double heads = static_cast<double>(config.num_heads), dim = static_cast<double>(config.head_dim);
  const double hidden = static_cast<double>(config.hidden_size);
  const double kv_weights = 2 * hidden * dim * static_cast<double>(config.num_kv_heads);
  const double other_weights =
      2 * hidden * dim * heads + 3 * hidden * static_cast<double>(config.intermediate_size);
  const double row_layers = (layers - 1) * rows + 1;  // through which a row gets an output
  return {.linear_flops = 2 * (layers * rows * kv_weights + row_layers * other_weights +
                               hidden * static_cast<double>(config.vocab_size)),
          .attention_flops = 4 * heads * dim * row_layers * mean_context,
          .exponentials = heads * row_layers * mean_context};
}

double FloorSeconds(const PassCost& cost, const MachineLimits& limits) {
  return std::max(cost.linear_flops / limits.gemm_flops_per_second +
                      cost.attention_flops / limits.attention_flops_per_second,
                  cost.exponentials / limits.exponentials_per_second);
}

}  // namespace cacheclip
