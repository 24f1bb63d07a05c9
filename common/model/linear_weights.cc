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
#include "common/model/kernels/attention_avx512.h"
#include "common/model/kernels/isa.h"

namespace cacheclip {
namespace {

bool Packs(const WeightOptions& options) {
  return options.device.is_cpu() && ActiveIsa() >= Isa::kAvx2 &&
         (options.rounding == WeightRounding::kInt8 || options.dtype == at::kFloat);
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

fp32::Element ElementOf(at::ScalarType stored, WeightRounding rounding) {
  if (rounding != WeightRounding::kNone)
    return rounding == WeightRounding::kInt8 ? fp32::Element::kInt8 : fp32::Element::kInt16;
  return stored == at::kBFloat16 ? fp32::Element::kBf16 : fp32::Element::kFp32;
}

at::Tensor Dense(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

}  // namespace

LinearWeights::LinearWeights(const at::Tensor& weight, const at::Tensor& bias, const WeightOptions& options)
    : dtype_(options.dtype), outputs_(weight.size(0)) {
  if (bias.defined()) bias_ = bias.to(at::TensorOptions().dtype(options.dtype).device(options.device));
  if (Packs(options)) {
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
  if (Packs(options))
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
  packed_ = {.element = ElementOf(parts[0].scalar_type(), options.rounding),
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
  const at::Tensor wide = x.to(at::kFloat).contiguous();
  fp32::Linear({.weights = packed_,
                .x = wide.const_data_ptr<float>(),
                .x_stride = wide.stride(0),
                .rows = wide.size(0),
                .bias = bias_.defined() ? bias_.const_data_ptr<float>() : nullptr,
                .out = out.mutable_data_ptr<float>(),
                .out_stride = out.stride(0),
                .outputs = outputs_,
                .epilogue = epilogue,
                .num_threads = at::get_num_threads()});
  return out;
}

at::Tensor LinearWeights::Apply(const at::Tensor& x) const {
  return is_packed() ? ApplyWide(x).to(x.scalar_type()) : Dense(x, weight_, bias_);
}

void LinearWeights::AddTo(at::Tensor& sum, const at::Tensor& x) const {
  if (is_packed() && sum.scalar_type() == at::kFloat && sum.stride(1) == 1)
    RunPacked(x, fp32::Epilogue::kAdd, sum);
  else
    AddInPlace(sum, Apply(x));
}

at::Tensor LinearWeights::ApplyGated(const at::Tensor& x) const {
  if (!is_packed()) return SwiGlu(at::linear(x, weight_));
  return RunPacked(x, fp32::Epilogue::kSwiGlu,
                   at::empty({x.size(0), outputs_}, x.options().dtype(at::kFloat)))
      .to(x.scalar_type());
}

at::Tensor LinearWeights::ApplyWide(const at::Tensor& x) const {
  if (is_packed())
    return RunPacked(x, fp32::Epilogue::kStore,
                     at::empty({x.size(0), outputs_}, x.options().dtype(at::kFloat)));
  constexpr int64_t kFewRows = 4;
  const bool streams = weight_.is_cpu() && dtype_ == at::kBFloat16 && !bias_.defined() &&
                       ActiveIsa() == Isa::kAvx512Bf16 && x.size(0) <= kFewRows;
  if (!streams) return Dense(x, weight_, bias_).to(at::kFloat);
  const at::Tensor wide = x.to(at::kFloat).contiguous();
  at::Tensor out = at::empty({x.size(0), outputs_}, wide.options());
  for (int64_t row = 0; row < x.size(0); ++row)
    avx512::MatVec(static_cast<const avx512::Bf16*>(weight_.const_data_ptr()),
                   wide.const_data_ptr<float>() + row * wide.size(1),
                   out.mutable_data_ptr<float>() + row * outputs_, outputs_, wide.size(1),
                   at::get_num_threads());
  return out;
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
