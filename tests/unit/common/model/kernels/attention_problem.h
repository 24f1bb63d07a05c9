// Attention problems and their answer by scalar arithmetic in double, for the tests of every attention
// kernel: the tests are attention_test.cc, each kernel's own file names the kernel for them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "tests/unit/common/model/kernels/attention_inputs.h"
#include "tests/unit/common/model/kernels/bf16_arrays.h"

namespace cacheclip {

class Problem {
 public:
  Problem(const Kernel& kernel, Shape shape, int num_slots, std::vector<int32_t> limits, Scores scores = {},
          uint32_t seed = 1)
      : kernel_(kernel) {
    in_ = {.shape = shape, .num_slots = num_slots, .limits = std::move(limits)};
    const size_t token = static_cast<size_t>(shape.num_kv_heads) * shape.head_dim;
    const size_t elements = static_cast<size_t>(num_slots) * token;
    in_.queries = Random(in_.limits.size() * shape.num_heads * shape.head_dim, seed, scores.query_scale,
                         scores.query_offset);
    in_.keys = Random(elements, seed + 1);
    in_.values = Random(elements, seed + 2);
    for (int slot = 0; slot < num_slots; ++slot)
      in_.slot_bias.push_back(scores.bias_step * static_cast<float>(slot % 5) * in_.scale());
    for (size_t i = 0; scores.key_ramp != 0 && i < elements; ++i)
      in_.keys[i] = Rounded(in_.keys[i] +
                            scores.key_ramp * static_cast<float>(i / token) / static_cast<float>(num_slots));
  }

  // Makes every other kv head local, from the first on, to all rows but the last few.
  Problem& WithLocalHeads(int window, int num_other_rows) {
    for (int head = 0; head < in_.shape.num_kv_heads; ++head) in_.local_heads.push_back(head % 2 == 0);
    for (const int32_t limit : in_.limits)
      in_.first_slots.push_back(std::max(0, limit + 1 - window) / kLocalBlock * kLocalBlock);
    std::fill_n(in_.first_slots.rbegin(), std::min<size_t>(num_other_rows, in_.limits.size()), 0);
    return *this;
  }

  std::vector<float> Run(int num_threads) const { return kernel_.run(in_, num_threads); }

  // Against the kernel's bound; every stride-th row, and the last.
  testing::AssertionResult Holds(int num_threads = 1) const {
    const std::vector<float> out = Run(num_threads);
    const size_t num_rows = in_.limits.size(), stride = std::max<size_t>(1, num_rows / 24);
    double error = 0, norm = 0;
    for (size_t row = 0; row < num_rows;
         row = row + 1 == num_rows ? row + 1 : std::min(row + stride, num_rows - 1))
      for (int head = 0; head < in_.shape.num_heads; ++head) {
        const std::vector<double> expected = Reference(row, head);
        for (size_t i = 0; i < expected.size(); ++i) {
          const double ours =
              out[(row * static_cast<size_t>(in_.shape.num_heads) + head) * expected.size() + i];
          if (!std::isfinite(ours)) return testing::AssertionFailure() << "row " << row << " is " << ours;
          error += (ours - expected[i]) * (ours - expected[i]);
          norm += expected[i] * expected[i];
        }
      }
    if (std::sqrt(error / norm) < kernel_.bound) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "relative error " << std::sqrt(error / norm);
  }

 private:
  float Rounded(float value) const { return kernel_.rounds_to_bf16 ? FromBf16(ToBf16(value)) : value; }

  std::vector<float> Random(size_t count, uint32_t seed, float scale = 1, float offset = 0) const {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& value : values) value = Rounded(scale * normal(random) + offset);
    return values;
  }

  std::vector<double> Reference(size_t row, int head) const {
    const size_t dim = static_cast<size_t>(in_.shape.head_dim);
    const int kv_head = head / (in_.shape.num_heads / in_.shape.num_kv_heads);
    const auto at = [&](size_t slot) {
      return (slot * static_cast<size_t>(in_.shape.num_kv_heads) + static_cast<size_t>(kv_head)) * dim;
    };
    const float* query = &in_.queries[(row * static_cast<size_t>(in_.shape.num_heads) + head) * dim];
    std::vector<double> weights(static_cast<size_t>(in_.limits[row]) + 1), out(dim, 0.0);
    for (size_t slot = 0; slot < weights.size(); ++slot) {
      double score = 0;
      for (size_t i = 0; i < dim; ++i) score += double{query[i]} * in_.keys[at(slot) + i];
      weights[slot] = score / std::sqrt(static_cast<double>(dim)) + in_.slot_bias[slot];
    }
    if (!in_.local_heads.empty() && in_.local_heads[static_cast<size_t>(kv_head)] != 0)
      for (int32_t slot = kLocalBlock; slot < in_.first_slots[row]; ++slot)
        weights[static_cast<size_t>(slot)] = -std::numeric_limits<double>::infinity();
    const double top = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (double& weight : weights) sum += weight = std::exp(weight - top);
    for (size_t slot = 0; slot < weights.size(); ++slot)
      for (size_t i = 0; i < dim; ++i) out[i] += weights[slot] / sum * in_.values[at(slot) + i];
    return out;
  }

  const Kernel kernel_;
  Inputs in_;
};

inline std::vector<int32_t> LastRows(int num_slots, int count) {
  std::vector<int32_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), num_slots - count);
  return rows;
}

inline std::vector<int32_t> AllRows(int count) { return LastRows(count, count); }

class Attention : public testing::TestWithParam<std::tuple<Kernel, Shape>> {
 protected:
  void SetUp() override {
    if (!MachineHas(kernel_.isa)) GTEST_SKIP() << "this CPU lacks " << kernel_.name;
  }
  Problem Of(int num_slots, std::vector<int32_t> limits, Scores scores = {}) const {
    return Problem(kernel_, std::get<1>(GetParam()), num_slots, std::move(limits), scores);
  }
  const Kernel kernel_ = std::get<0>(GetParam());
};

class AttentionOfRandomShapes : public testing::TestWithParam<Kernel> {};
}  // namespace cacheclip
