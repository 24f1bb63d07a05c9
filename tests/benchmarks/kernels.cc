// The kernels one by one (Google Benchmark), beside libtorch's on the same data in the same run, with the
// demo model's shapes: 9 query and 3 kv heads of 64, 576 x 1536 weights.
//
//   build/dev/benchmarks/kernels --benchmark_filter=attention --benchmark_repetitions=5
//
// "FLOP" is work a second, "bytes" what decode has to read a second. The first three lines are the machine's
// limits: a large product (libtorch's and ours), and reading an array that no cache holds. Kernels of
// instruction sets that this machine lacks are left out.
#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/attention_fp32.h"
#include "common/model/kernels/elementwise_avx2.h"
#include "common/model/kernels/isa.h"
#include "common/model/linear_weights.h"

namespace cacheclip {
namespace {

using benchmark::Counter;

constexpr int kHeads = 9, kKvHeads = 3, kHeadDim = 64, kHidden = kHeads * kHeadDim, kIntermediate = 1536;

void CountFlops(benchmark::State& state, double flops) {
  state.counters["FLOP"] = Counter(flops, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}
void CountBytes(benchmark::State& state, double bytes) {
  state.counters["bytes"] = Counter(bytes, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}

// Rows of a pass that attend to `num_slots` slots: all of them (full prefill), a share spread evenly (a
// selection), or the last one (decode).
struct Pass {
  int num_slots = 0;
  std::vector<int32_t> limits;
  double flops = 0;

  Pass(int slots, int num_rows) : num_slots(slots) {
    for (int row = 0; row < num_rows; ++row) {
      limits.push_back(static_cast<int32_t>((row + 1ll) * slots / num_rows - 1));
      flops += 4.0 * kHeads * kHeadDim * (limits.back() + 1);
    }
  }
  int num_rows() const { return static_cast<int>(limits.size()); }
  double kv_elements() const { return 2.0 * kKvHeads * kHeadDim * num_slots; }
};

void Report(benchmark::State& state, const Pass& pass, double element_bytes) {
  CountFlops(state, pass.flops);
  if (pass.num_rows() == 1) CountBytes(state, pass.kv_elements() * element_bytes);
}

// Times attend(arguments) over a cache of `capacity` slots.
template <typename Arguments, typename Attend>
void Attention(benchmark::State& state, const Pass& pass, at::ScalarType dtype, int capacity,
               const Attend& attend) {
  const at::Tensor queries = at::randn({pass.num_rows(), kHeads, kHeadDim}).to(dtype),
                   out = at::empty_like(queries);
  const std::vector<float> bias(static_cast<size_t>(capacity));
  Arguments arguments{};
  arguments.queries = static_cast<decltype(arguments.queries)>(queries.const_data_ptr());
  arguments.out = static_cast<decltype(arguments.out)>(out.mutable_data_ptr());
  arguments.limits = pass.limits.data();
  arguments.slot_bias = bias.data();
  arguments.num_rows = pass.num_rows();
  arguments.num_heads = kHeads;
  arguments.num_kv_heads = kKvHeads;
  arguments.head_dim = kHeadDim;
  arguments.capacity = capacity;
  arguments.scale = 0.125f;
  arguments.num_threads = at::get_num_threads();
  for (auto _ : state) attend(arguments);
}

Pass PassOf(const benchmark::State& state) {
  return Pass(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
}

int UpTo(int slots, int alignment) { return (slots + alignment - 1) / alignment * alignment; }

template <typename Cache>
using Fp32Kernel = void (*)(const fp32::AttentionArguments&, const Cache&);

void AttentionFp32(benchmark::State& state, Fp32Kernel<fp32::PlainCache> kernel) {
  const Pass pass = PassOf(state);
  const at::Tensor keys = at::randn({kKvHeads, pass.num_slots, kHeadDim}), values = at::randn_like(keys);
  const fp32::PlainCache cache{keys.const_data_ptr<float>(), values.const_data_ptr<float>()};
  Attention<fp32::AttentionArguments>(state, pass, at::kFloat, pass.num_slots,
                                      [&](const auto& arguments) { kernel(arguments, cache); });
  Report(state, pass, sizeof(float));
}

void AttentionInt16(benchmark::State& state, Fp32Kernel<fp32::RoundedCache> kernel) {
  const Pass pass = PassOf(state);
  const int capacity = UpTo(pass.num_slots, fp32::kRoundedSlotAlignment);
  const auto planes = [&] { return at::empty({kKvHeads, capacity, kHeadDim}, at::kShort); };
  at::Tensor keys = planes(), values = planes(), key_scales = at::empty({kKvHeads, capacity}),
             value_scales = at::empty_like(key_scales);
  const fp32::RoundedCache cache{.num_kv_heads = kKvHeads,
                                 .head_dim = kHeadDim,
                                 .capacity = capacity,
                                 .keys = keys.mutable_data_ptr<int16_t>(),
                                 .key_scales = key_scales.mutable_data_ptr<float>(),
                                 .values = values.mutable_data_ptr<int16_t>(),
                                 .value_scales = value_scales.mutable_data_ptr<float>()};
  const at::Tensor rows = at::randn({capacity, kKvHeads, kHeadDim});
  std::vector<int32_t> slots(static_cast<size_t>(capacity));
  std::iota(slots.begin(), slots.end(), 0);
  fp32::StoreRounded(cache, rows.const_data_ptr<float>(), rows.const_data_ptr<float>(), rows.stride(0),
                     slots.data(), capacity, at::get_num_threads());
  Attention<fp32::AttentionArguments>(state, pass, at::kFloat, capacity,
                                      [&](const auto& arguments) { kernel(arguments, cache); });
  Report(state, pass, sizeof(int16_t));
}

void AttentionBf16(benchmark::State& state) {
  const Pass pass = PassOf(state);
  const int capacity = UpTo(pass.num_slots, avx512::kSlotAlignment);
  // Any layout does: every element is a random number.
  const at::Tensor keys = at::randn({kKvHeads, capacity, kHeadDim}).to(at::kBFloat16),
                   values = at::randn_like(keys);
  const auto bits = [](const at::Tensor& tensor) { return static_cast<avx512::Bf16*>(tensor.data_ptr()); };
  Attention<avx512::AttentionArguments>(state, pass, at::kBFloat16, capacity, [&](auto& arguments) {
    arguments.keys = bits(keys), arguments.values = bits(values);
    avx512::Attention(arguments);
  });
  Report(state, pass, sizeof(avx512::Bf16));
}

// With a mask, as a pass over selected rows needs; full prefill without.
void AttentionTorch(benchmark::State& state, at::ScalarType dtype) {
  const Pass pass(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  const auto random = [&](int heads, int rows) { return at::randn({1, heads, rows, kHeadDim}).to(dtype); };
  const at::Tensor queries = random(kHeads, pass.num_rows());
  const at::Tensor keys = random(kHeads, pass.num_slots), values = random(kHeads, pass.num_slots);
  const bool causal = pass.num_rows() == pass.num_slots;
  c10::optional<at::Tensor> mask;
  if (!causal && pass.num_rows() > 1)
    mask = at::arange(pass.num_slots).unsqueeze(0) <=
           at::tensor(at::ArrayRef<int32_t>(pass.limits)).unsqueeze(1);
  for (auto _ : state)
    benchmark::DoNotOptimize(at::scaled_dot_product_attention(queries, keys, values, mask, 0, causal));
  Report(state, pass, static_cast<double>(c10::elementSize(dtype)));
}

enum class Weights { kStored, kInt16, kInt8, kTorch };

WeightRounding RoundingOf(Weights kind) {
  return kind == Weights::kInt16  ? WeightRounding::kInt16
         : kind == Weights::kInt8 ? WeightRounding::kInt8
                                  : WeightRounding::kNone;
}

// [rows, inputs] times [outputs, inputs]ᵀ, as the model keeps its weights here.
void Product(benchmark::State& state, at::ScalarType dtype, Weights kind, int64_t outputs, int64_t inputs) {
  const int64_t rows = state.range(0);
  const at::Tensor x = at::randn({rows, inputs}).to(dtype);
  const at::Tensor weight = at::randn({outputs, inputs}).to(at::kBFloat16);
  const LinearWeights packed(weight, {}, {.dtype = dtype, .rounding = RoundingOf(kind)});
  const at::Tensor plain = weight.to(dtype);
  for (auto _ : state)
    benchmark::DoNotOptimize(kind == Weights::kTorch ? at::linear(x, plain) : packed.Apply(x));
  CountFlops(state, 2.0 * static_cast<double>(rows * inputs * outputs));
  if (rows == 1)
    CountBytes(state, static_cast<double>(kind == Weights::kTorch ? plain.nbytes() : packed.num_bytes()));
}

void RmsNormAvx2(benchmark::State& state) {
  const at::Tensor x = at::randn({state.range(0), kHidden}), weight = at::randn({kHidden}),
                   out = at::empty_like(x);
  for (auto _ : state)
    fp32::RmsNorm(x.const_data_ptr<float>(), kHidden, weight.const_data_ptr<float>(), 1e-5f,
                  out.mutable_data_ptr<float>(), kHidden, state.range(0), kHidden, at::get_num_threads());
  CountBytes(state, 2.0 * static_cast<double>(x.nbytes()));
}

void LimitOfReading(benchmark::State& state) {
  const at::Tensor big = at::randn({int64_t{32} << 20});
  for (auto _ : state) benchmark::DoNotOptimize(at::sum(big));
  CountBytes(state, static_cast<double>(big.nbytes()));
}

using Run = std::function<void(benchmark::State&)>;

benchmark::internal::Benchmark* Add(const std::string& name, Run run) {
  return benchmark::RegisterBenchmark(name.c_str(), std::move(run))
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

void AddAttention(const std::string& name, const Run& run) {
  // Full prefill, a fifth of the rows, the question's rows, decode.
  Add(name, run)->ArgNames({"slots", "rows"})->ArgsProduct({{512, 2048, 4096}, {1, 20}});
  for (const int64_t slots : {512, 2048, 4096})
    Add(name, run)->ArgNames({"slots", "rows"})->Args({slots, slots / 5})->Args({slots, slots});
}

void AddAll() {
  const at::ScalarType dtype = ActiveIsa() == Isa::kAvx512Bf16 ? at::kBFloat16 : at::kFloat;
  const auto add_limit = [&](const std::string& name, Weights kind) {
    Add(name, [=](auto& state) { Product(state, dtype, kind, 1536, 1024); })->ArgName("rows")->Arg(1024);
  };
  add_limit("limit/product/torch", Weights::kTorch);
  add_limit("limit/product/ours", Weights::kStored);
  Add("limit/reading", LimitOfReading);
  if (MachineHas(Isa::kAvx2))
    AddAttention("attention/avx2", [](auto& state) { AttentionFp32(state, fp32::AttentionAvx2); });
  if (MachineHas(Isa::kAvx512))
    AddAttention("attention/avx512", [](auto& state) { AttentionFp32(state, fp32::AttentionAvx512); });
  if (MachineHas(Isa::kAvx2))
    AddAttention("attention/avx2/int16", [](auto& state) { AttentionInt16(state, fp32::AttentionAvx2); });
  if (MachineHas(Isa::kAvx512))
    AddAttention("attention/avx512/int16", [](auto& state) { AttentionInt16(state, fp32::AttentionAvx512); });
  if (MachineHas(Isa::kAvx512Bf16)) AddAttention("attention/avx512bf16", AttentionBf16);
  AddAttention("attention/torch", [=](auto& state) { AttentionTorch(state, dtype); });
  const auto add_product = [&](const std::string& name, Weights kind) {
    Add(name, [=](auto& state) { Product(state, dtype, kind, kIntermediate, kHidden); })
        ->ArgName("rows")
        ->Arg(1)
        ->Arg(4)
        ->Arg(64)
        ->Arg(1024);
  };
  add_product("product/stored", Weights::kStored);
  if (dtype == at::kFloat) add_product("product/int16", Weights::kInt16);
  add_product("product/int8", Weights::kInt8);
  add_product("product/torch", Weights::kTorch);
  if (MachineHas(Isa::kAvx2)) Add("rms_norm/avx2", RmsNormAvx2)->ArgName("rows")->Arg(1)->Arg(1024);
}

}  // namespace
}  // namespace cacheclip

int main(int argc, char** argv) {
  const c10::InferenceMode inference;
  cacheclip::AddAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
