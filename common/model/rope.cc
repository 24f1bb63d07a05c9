#include "common/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>

namespace cacheclip {
namespace {

double Llama3Scaled(double frequency, const RopeParameters& rope) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double original = static_cast<double>(rope.original_max_positions);
  const double low_wavelength = original / rope.low_frequency_factor;
  const double high_wavelength = original / rope.high_frequency_factor;
  if (wavelength > low_wavelength) return frequency / rope.factor;
  if (wavelength < high_wavelength) return frequency;
  const double smooth = (original / wavelength - rope.low_frequency_factor) /
                        (rope.high_frequency_factor - rope.low_frequency_factor);
  return (1 - smooth) * frequency / rope.factor + smooth * frequency;
}

}  // namespace

at::Tensor InverseFrequencies(const ModelConfig& config) {
  const int64_t pairs = config.head_dim / 2;
  std::vector<float> frequencies(static_cast<size_t>(pairs));
  for (int64_t i = 0; i < pairs; ++i) {
    // The exponent is rounded to fp32 as the reference implementations do: at position 8000 the difference
    // shows.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
    double frequency = 1.0f / std::pow(static_cast<float>(config.rope.theta), exponent);
    if (config.rope.scaling == RopeScaling::kLinear) frequency /= config.rope.factor;
    if (config.rope.scaling == RopeScaling::kLlama3) frequency = Llama3Scaled(frequency, config.rope);
    frequencies[static_cast<size_t>(i)] = static_cast<float>(frequency);
  }
  return at::tensor(frequencies);
}

RotationTable MakeRotationTable(const at::Tensor& inverse_frequencies, const at::Tensor& positions) {
  const at::Tensor angles = positions.to(at::kFloat).view({-1, 1, 1}) * inverse_frequencies.view({1, 1, -1});
  return {at::cos(angles), at::sin(angles)};
}

RotationTables::RotationTables(at::Tensor inverse_frequencies)
    : inverse_frequencies_(std::move(inverse_frequencies)) {}

RotationTable RotationTables::UpTo(int64_t num_positions) const {
  const std::lock_guard lock(mutex_);
  const int64_t known = all_.cosine.defined() ? all_.cosine.size(0) : 0;
  if (known < num_positions) {
    constexpr int64_t kFewest = 1024;
    const auto options = at::TensorOptions().dtype(at::kLong).device(inverse_frequencies_.device());
    all_ = MakeRotationTable(inverse_frequencies_,
                             at::arange(std::max({num_positions, 2 * known, kFewest}), options));
  }
  return all_;
}

RotationTable RotationTables::Of(int32_t first_position, int32_t num_tokens) const {
  const RotationTable all = UpTo(int64_t{first_position} + num_tokens);
  return {all.cosine.narrow(0, first_position, num_tokens), all.sine.narrow(0, first_position, num_tokens)};
}

RotationTable RotationTables::Of(std::span<const int32_t> positions) const {
  const RotationTable all = UpTo(int64_t{*std::ranges::max_element(positions)} + 1);
  const at::Tensor indices =
      at::tensor(at::ArrayRef<int32_t>(positions.data(), positions.size())).to(inverse_frequencies_.device());
  return {all.cosine.index_select(0, indices), all.sine.index_select(0, indices)};
}

at::Tensor Rotate(const at::Tensor& x, const RotationTable& table) {
  const int64_t half = x.size(2) / 2;
  const at::Tensor first = x.slice(2, 0, half).to(at::kFloat), second = x.slice(2, half).to(at::kFloat);
  return at::cat({first * table.cosine - second * table.sine, second * table.cosine + first * table.sine}, 2)
      .to(x.scalar_type());
}

}  // namespace cacheclip
