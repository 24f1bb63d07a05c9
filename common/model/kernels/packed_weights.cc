#include "common/model/kernels/packed_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "common/model/kernels/bf16.h"

namespace cacheclip::fp32 {
namespace {

// What rounding adds to a norm, at most.
double RoundingNorm(int64_t inputs) { return std::sqrt(static_cast<double>(inputs)) / 2; }

constexpr double kMaxSum = 2147483647.0;  // of products

// Where input `k` of a lane lies in a panel of pairs.
int64_t PairIndex(int64_t k, int64_t lane) { return (k / 2 * kPanelOutputs + lane) * 2 + k % 2; }

float ScaleOf(Element element, const float* row, int64_t inputs) {
  float largest = 0;
  for (int64_t k = 0; k < inputs; ++k) largest = std::max(largest, std::fabs(row[k]));
  if (largest == 0) return 1.0f;
  if (element == Element::kInt8) return largest / kMaxWeight;
  double squares = 0;
  for (int64_t k = 0; k < inputs; ++k) squares += static_cast<double>(row[k]) * row[k];
  return std::max(largest / INT16_MAX, static_cast<float>(std::sqrt(squares)) / MaxWeightNorm(inputs));
}

template <typename Stored>
void PackRounded(const float* row, const PackedWeights& packed, int64_t panel, int lane) {
  const int64_t inputs = packed.inputs;
  const float scale = ScaleOf(packed.element, row, inputs);
  packed.scales[panel * kPanelOutputs + lane] = scale;
  Stored* const to = reinterpret_cast<Stored*>(Panel(packed, panel));
  for (int64_t k = 0; k < inputs; ++k)
    to[PairIndex(k, lane)] = static_cast<Stored>(std::lrint(row[k] / scale));
  if (inputs % 2 == 1) to[PairIndex(inputs, lane)] = 0;
}

void PackLane(const float* row, const PackedWeights& packed, int64_t panel, int lane) {
  const int64_t inputs = packed.inputs;
  if (packed.element == Element::kInt8) {
    PackRounded<int8_t>(row, packed, panel, lane);
  } else if (packed.element == Element::kInt16) {
    PackRounded<int16_t>(row, packed, panel, lane);
  } else if (packed.element == Element::kBf16 || packed.element == Element::kBf16Pairs) {
    const bool paired = IsPaired(packed.element);
    uint16_t* const to = reinterpret_cast<uint16_t*>(Panel(packed, panel));
    for (int64_t k = 0; k < inputs; ++k)
      to[paired ? PairIndex(k, lane) : k * kPanelOutputs + lane] = RoundToBf16(row[k]);
    if (paired && inputs % 2 == 1) to[PairIndex(inputs, lane)] = 0;
  } else {
    float* const to = reinterpret_cast<float*>(Panel(packed, panel));
    for (int64_t k = 0; k < inputs; ++k) to[k * kPanelOutputs + lane] = row[k];
  }
}

void ReadRow(const WeightSource& source, int64_t index, std::vector<float>& row) {
  const int64_t inputs = static_cast<int64_t>(row.size());
  if (index >= source.outputs) {
    std::ranges::fill(row, 0.0f);
  } else if (source.element == Element::kBf16) {
    std::transform(static_cast<const uint16_t*>(source.values) + index * inputs,
                   static_cast<const uint16_t*>(source.values) + (index + 1) * inputs, row.begin(), FromBf16);
  } else {
    std::copy_n(static_cast<const float*>(source.values) + index * inputs, inputs, row.begin());
  }
}

}  // namespace

float MaxWeightNorm(int64_t inputs) {
  return static_cast<float>(std::sqrt(kMaxSum) - RoundingNorm(inputs) - 1);
}

float MaxRowNorm(Element element, int64_t inputs) {
  const double weights = element == Element::kInt8 ? kMaxWeight * std::sqrt(static_cast<double>(inputs))
                                                   : MaxWeightNorm(inputs) + RoundingNorm(inputs);
  return static_cast<float>((kMaxSum / weights - RoundingNorm(inputs)) * (1 - 1e-6));  // of fp32's rounding
}

int64_t ElementBytes(Element element) {
  return element == Element::kFp32 ? 4 : element == Element::kInt8 ? 1 : 2;
}

size_t PanelBytes(Element element, int64_t inputs) {
  const int64_t padded = IsPaired(element) ? 2 * Pairs(inputs) : inputs;
  return static_cast<size_t>(padded * kPanelOutputs * ElementBytes(element));
}

std::byte* Panel(const PackedWeights& packed, int64_t panel) {
  return static_cast<std::byte*>(packed.panels) +
         panel * static_cast<int64_t>(PanelBytes(packed.element, packed.inputs));
}

void Pack(const WeightSource& source, int first_lane, int num_lanes, const PackedWeights& packed,
          int num_threads) {
#pragma omp parallel for schedule(static) num_threads(num_threads)
  for (int64_t panel = 0; panel < packed.num_panels; ++panel) {
    std::vector<float> row(static_cast<size_t>(packed.inputs));
    for (int lane = 0; lane < num_lanes; ++lane) {
      ReadRow(source, panel * num_lanes + lane, row);
      PackLane(row.data(), packed, panel, first_lane + lane);
    }
  }
}

void Unpack(const PackedWeights& packed, int64_t lane, float* out) {
  const int64_t panel = lane / kPanelOutputs, column = lane % kPanelOutputs;
  const std::byte* const from = Panel(packed, panel);
  for (int64_t k = 0; k < packed.inputs; ++k) {
    const int64_t index = k * kPanelOutputs + column;
    if (packed.element == Element::kInt8)
      out[k] = packed.scales[lane] *
               static_cast<float>(reinterpret_cast<const int8_t*>(from)[PairIndex(k, column)]);
    else if (packed.element == Element::kInt16)
      out[k] = packed.scales[lane] *
               static_cast<float>(reinterpret_cast<const int16_t*>(from)[PairIndex(k, column)]);
    else if (packed.element == Element::kBf16)
      out[k] = FromBf16(reinterpret_cast<const uint16_t*>(from)[index]);
    else if (packed.element == Element::kBf16Pairs)
      out[k] = FromBf16(reinterpret_cast<const uint16_t*>(from)[PairIndex(k, column)]);
    else
      out[k] = reinterpret_cast<const float*>(from)[index];
  }
}

}  // namespace cacheclip::fp32
