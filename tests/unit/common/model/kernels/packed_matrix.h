// A random matrix in panels, for the tests of what packs it and what multiplies with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "common/model/kernels/packed_weights.h"

namespace cacheclip {

inline std::vector<float> Random(size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// [outputs, inputs], a lane each; 64-byte aligned.
struct Packed {
  Packed(fp32::Element element, const std::vector<float>& weights, int64_t outputs, int64_t inputs) {
    const int64_t num_panels = (outputs + fp32::kPanelOutputs - 1) / fp32::kPanelOutputs;
    const size_t bytes = fp32::PanelBytes(element, inputs) * static_cast<size_t>(num_panels);
    storage.resize(bytes + 64);
    scales.resize(static_cast<size_t>(num_panels * fp32::kPanelOutputs));
    const auto address = reinterpret_cast<uintptr_t>(storage.data());
    view = {element, num_panels, inputs, storage.data() + (64 - address % 64) % 64, scales.data()};
    fp32::Pack({fp32::Element::kFp32, weights.data(), outputs}, 0, fp32::kPanelOutputs, view, 2);
  }
  std::vector<float> Row(int64_t output) const {
    std::vector<float> row(static_cast<size_t>(view.inputs));
    fp32::Unpack(view, output, row.data());
    return row;
  }
  std::vector<std::byte> storage;
  std::vector<float> scales;
  fp32::PackedWeights view;
};

inline constexpr fp32::Element kElements[] = {fp32::Element::kFp32, fp32::Element::kBf16,
                                              fp32::Element::kBf16Pairs, fp32::Element::kInt16,
                                              fp32::Element::kInt8};

inline std::string ElementName(fp32::Element element) {
  switch (element) {
    case fp32::Element::kFp32:
      return "fp32";
    case fp32::Element::kBf16:
      return "bf16";
    case fp32::Element::kBf16Pairs:
      return "bf16pairs";
    case fp32::Element::kInt16:
      return "int16";
    case fp32::Element::kInt8:
      return "int8";
  }
  return "";
}

}  // namespace cacheclip
