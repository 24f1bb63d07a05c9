#include "common/model/linear_weights.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include "common/model/elementwise.h"
#include "common/model/kernels/isa.h"

namespace cacheclip {
namespace {

// Products of bf16 take inputs in pairs.
bool Packs(const WeightOptions& options, int64_t inputs) {
  if (!options.device.is_cpu() || ActiveIsa() < Isa::kAvx2) return false;
  return options.rounding == WeightRounding::kInt8 || options.dtype == at::kFloat ||
         (options.dtype == at::kBFloat16 && ActiveIsa() == Isa::kAvx512Bf16 && inputs % 2 == 0);
}

// What the packed form of int8 weights stands for.
at::Tensor RoundedToInt8(const at::Tensor& weight) {
  const at::Tensor wide = weight.to(at::kFloat);
  const at::Tensor largest = wide.abs().amax(1, /*keepdim=*/true);
  const at::Tensor scale = at::where(largest > 0, largest / fp32::kMaxWeight, at::ones_like(largest));
  return (wide / scale).round_() * scale;
}

at::Tensor Held(const at::Tensor& weight, const WeightOptions& options) {
  const at::Tensor values = options.rounding == WeightRounding::kInt8 ? RoundedToInt8(weight) : weight;
  return values.to(at::TensorOptions().dtype(options.dtype).device(options.device), /*non_blocking=*/false,
                   /*copy=*/true);
}

fp32::Element ElementOf(at::ScalarType stored, const WeightOptions& options) {
  if (options.rounding != WeightRounding::kNone)
    return options.rounding == WeightRounding::kInt8 ? fp32::Element::kInt8 : fp32::Element::kInt16;
  if (options.dtype == at::kBFloat16) return fp32::Element::kBf16Pairs;
  return stored == at::kBFloat16 ? fp32::Element::kBf16 : fp32::Element::kFp32;
}

fp32::Element ElementOf(const at::Tensor& rows) {
  return rows.scalar_type() == at::kBFloat16 ? fp32::Element::kBf16 : fp32::Element::kFp32;
}

at::Tensor Dense(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

}  // namespace

LinearWeights::LinearWeights(const at::Tensor& weight, const at::Tensor& bias, const WeightOptions& options)
    : dtype_(options.dtype), outputs_(weight.size(0)) {
  if (bias.defined()) bias_ = bias.to(at::TensorOptions().dtype(options.dtype).device(options.device));
  if (Packs(options, weight.size(1))) {
    if (bias.defined()) bias_ = bias_.to(at::kFloat).contiguous();
    Pack({weight}, options);
  } else {
    weight_ = Held(weight, options);
  }
}

LinearWeights LinearWeights::Gated(const at::Tensor& gate, const at::Tensor& up,
                                   const WeightOptions& options) {
  LinearWeights weights;
  weights.dtype_ = options.dtype;
  weights.outputs_ = gate.size(0);
  if (Packs(options, gate.size(1)))
    weights.Pack({gate, up}, options);
  else
    weights.weight_ = at::cat({Held(gate, options), Held(up, options)}, 0);
  return weights;
}

// One matrix, or two whose panels share lanes. bf16 weights stay as they are: widened, they are the same
// numbers in fp32.
void LinearWeights::Pack(const std::vector<at::Tensor>& parts, const WeightOptions& options) {
  const bool is_bf16 = parts[0].scalar_type() == at::kBFloat16;
  const int64_t inputs = parts[0].size(1), width = fp32::kPanelOutputs / static_cast<int64_t>(parts.size());
  packed_ = {.element = ElementOf(parts[0].scalar_type(), options),
             .num_panels = (outputs_ + width - 1) / width,
             .inputs = inputs};
  const auto bytes = static_cast<int64_t>(fp32::PanelBytes(packed_.element, inputs)) * packed_.num_panels;
  panels_ = options.arena != nullptr ? options.arena->Take(bytes)
                                     : at::empty({bytes}, at::TensorOptions().dtype(at::kByte));
  packed_.panels = panels_.mutable_data_ptr();
  if (fp32::IsRounded(packed_.element)) {
    scales_ = at::empty({packed_.num_panels * fp32::kPanelOutputs}, at::TensorOptions().dtype(at::kFloat));
    packed_.scales = scales_.mutable_data_ptr<float>();
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    const at::Tensor part = (is_bf16 ? parts[i] : parts[i].to(at::kFloat)).contiguous();
    fp32::Pack({.element = is_bf16 ? fp32::Element::kBf16 : fp32::Element::kFp32,
                .values = part.const_data_ptr(),
                .outputs = outputs_},
               static_cast<int>(i) * static_cast<int>(width), static_cast<int>(width), packed_,
               at::get_num_threads());
  }
}

at::Tensor LinearWeights::RunPacked(const at::Tensor& x, fp32::Epilogue epilogue, at::Tensor out) const {
  const bool as_it_is = fp32::IsRounded(packed_.element) && x.scalar_type() == at::kBFloat16;
  const at::ScalarType type =
      as_it_is || packed_.element == fp32::Element::kBf16Pairs ? at::kBFloat16 : at::kFloat;
  const at::Tensor rows = x.to(type).contiguous();
  fp32::Linear({.weights = packed_,
                .x = rows.const_data_ptr(),
                .x_stride = rows.stride(0),
                .rows = rows.size(0),
                .bias = bias_.defined() ? bias_.const_data_ptr<float>() : nullptr,
                .out = out.mutable_data_ptr(),
                .out_stride = out.stride(0),
                .outputs = outputs_,
                .epilogue = epilogue,
                .num_threads = at::get_num_threads(),
                .x_element = ElementOf(rows),
                .out_element = ElementOf(out)});
  return out;
}

at::Tensor LinearWeights::Apply(const at::Tensor& x) const {
  if (!is_packed()) return Dense(x, weight_, bias_);
  return RunPacked(x, fp32::Epilogue::kStore, at::empty({x.size(0), outputs_}, x.options()));
}

void LinearWeights::AddTo(at::Tensor& sum, const at::Tensor& x) const {
  if (is_packed() && sum.stride(1) == 1)
    RunPacked(x, fp32::Epilogue::kAdd, sum);
  else
    AddInPlace(sum, Apply(x));
}

at::Tensor LinearWeights::ApplyGated(const at::Tensor& x) const {
  if (!is_packed()) return SwiGlu(at::linear(x, weight_));
  return RunPacked(x, fp32::Epilogue::kSwiGlu, at::empty({x.size(0), outputs_}, x.options()));
}

at::Tensor LinearWeights::ApplyWide(const at::Tensor& x) const {
  if (!is_packed()) return Dense(x, weight_, bias_).to(at::kFloat);
  return RunPacked(x, fp32::Epilogue::kStore,
                   at::empty({x.size(0), outputs_}, x.options().dtype(at::kFloat)));
}

at::Tensor LinearWeights::Rows(const at::Tensor& ids) const {
  if (!is_packed()) return at::embedding(weight_, ids);
  at::Tensor out = at::empty({ids.size(0), packed_.inputs}, at::TensorOptions().dtype(at::kFloat));
  const int64_t* const lanes = ids.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < ids.size(0); ++i)
    fp32::Unpack(packed_, lanes[i], out.mutable_data_ptr<float>() + i * packed_.inputs);
  return out.to(dtype_);
}

int64_t LinearWeights::num_bytes() const {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : {weight_, bias_, panels_, scales_})
    if (tensor.defined()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

}  // namespace cacheclip
