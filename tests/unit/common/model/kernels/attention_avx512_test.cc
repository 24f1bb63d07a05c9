// The kernel against scalar attention in double over the same bf16 inputs. The bound: the kernel rounds each
// softmax weight and each output to bf16, 2^-9 relative, so a root-mean-square error below 6e-3 of the output
// is its own rounding.
#include "common/model/kernels/attention_avx512.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/unit/common/model/kernels/bf16_arrays.h"

namespace cacheclip {
namespace {

using avx512::Bf16;

constexpr double kBound = 6e-3;

struct Shape {
  int num_heads, num_kv_heads, head_dim;
};

struct Scores {
  float query_scale = 1, query_offset = 0, key_ramp = 0;  // the ramp adds ramp · slot / num_slots to each key
  float bias_step = 0;                                    // slot i has a bias of i mod 5 steps
};

class Problem {
 public:
  Problem(Shape shape, int num_slots, std::vector<int32_t> limits, Scores scores = {}, uint32_t seed = 1)
      : shape_(shape),
        num_slots_(num_slots),
        limits_(std::move(limits)),
        queries_(RandomBf16(limits_.size() * shape.num_heads * shape.head_dim, seed, scores.query_scale,
                            scores.query_offset)),
        keys_(RandomBf16(Elements(), seed + 1)),
        values_(RandomBf16(Elements(), seed + 2)),
        layer_(shape.num_kv_heads, shape.head_dim, AlignedCapacity(num_slots)),
        slot_bias_(static_cast<size_t>(AlignedCapacity(num_slots)), 0.0f) {
    for (int slot = 0; slot < num_slots; ++slot)
      slot_bias_[static_cast<size_t>(slot)] = scores.bias_step * static_cast<float>(slot % 5);
    const size_t token = static_cast<size_t>(shape.num_kv_heads) * shape.head_dim;
    for (size_t i = 0; scores.key_ramp != 0 && i < keys_.size(); ++i)
      keys_[i] = ToBf16(FromBf16(keys_[i]) +
                        scores.key_ramp * static_cast<float>(i / token) / static_cast<float>(num_slots));
    std::vector<int32_t> slots(static_cast<size_t>(num_slots));
    std::iota(slots.begin(), slots.end(), 0);
    avx512::StoreRows(layer_.slice(), keys_.data(), values_.data(), slots.data(), num_slots);
  }

  std::vector<Bf16> Run(int num_threads) const {
    std::vector<Bf16> out(queries_.size(), 0x7fc0);  // not a number where nothing is written
    const auto slice = layer_.slice();
    avx512::Attention({.queries = queries_.data(),
                       .keys = slice.keys,
                       .values = slice.values,
                       .out = out.data(),
                       .limits = limits_.data(),
                       .slot_bias = slot_bias_.data(),
                       .num_rows = static_cast<int>(limits_.size()),
                       .num_heads = shape_.num_heads,
                       .num_kv_heads = shape_.num_kv_heads,
                       .head_dim = shape_.head_dim,
                       .capacity = slice.capacity,
                       .scale = 1 / std::sqrt(static_cast<float>(shape_.head_dim)),
                       .num_threads = num_threads});
    return out;
  }

  // Root mean square of the error over that of the output; every stride-th row, and the last.
  double Error(int num_threads = 1) const {
    const std::vector<Bf16> out = Run(num_threads);
    const size_t dim = static_cast<size_t>(shape_.head_dim),
                 stride = std::max<size_t>(1, limits_.size() / 24);
    double error = 0, norm = 0;
    for (size_t row = 0; row < limits_.size();
         row = row + 1 == limits_.size() ? row + 1 : std::min(row + stride, limits_.size() - 1))
      for (int head = 0; head < shape_.num_heads; ++head) {
        const std::vector<double> expected = Reference(row, head);
        for (size_t i = 0; i < dim; ++i) {
          const double ours = FromBf16(out[(row * shape_.num_heads + head) * dim + i]);
          if (!std::isfinite(ours)) return HUGE_VAL;
          error += (ours - expected[i]) * (ours - expected[i]);
          norm += expected[i] * expected[i];
        }
      }
    return std::sqrt(error / norm);
  }

 private:
  size_t Elements() const { return static_cast<size_t>(num_slots_) * shape_.num_kv_heads * shape_.head_dim; }

  std::vector<double> Reference(size_t row, int head) const {
    const size_t dim = static_cast<size_t>(shape_.head_dim);
    const int kv_head = head / (shape_.num_heads / shape_.num_kv_heads);
    const auto at = [&](int slot) {
      return (static_cast<size_t>(slot) * shape_.num_kv_heads + kv_head) * dim;
    };
    const Bf16* query = queries_.data() + (row * shape_.num_heads + head) * dim;
    std::vector<double> weights(static_cast<size_t>(limits_[row]) + 1), out(dim, 0.0);
    for (size_t slot = 0; slot < weights.size(); ++slot) {
      double score = 0;
      for (size_t i = 0; i < dim; ++i)
        score += FromBf16(query[i]) * FromBf16(keys_[at(static_cast<int>(slot)) + i]);
      score += slot_bias_[slot];
      weights[slot] = score / std::sqrt(static_cast<double>(dim));
    }
    const double top = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (double& weight : weights) sum += weight = std::exp(weight - top);
    for (size_t slot = 0; slot < weights.size(); ++slot)
      for (size_t i = 0; i < dim; ++i)
        out[i] += weights[slot] / sum * FromBf16(values_[at(static_cast<int>(slot)) + i]);
    return out;
  }

  Shape shape_;
  int num_slots_;
  std::vector<int32_t> limits_;
  std::vector<Bf16> queries_, keys_, values_;  // [tokens, heads, head_dim]
  PackedLayer layer_;
  std::vector<float> slot_bias_;
};

std::vector<int32_t> AllRows(int count) {
  std::vector<int32_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

std::vector<int32_t> LastRows(int num_slots, int count) {
  std::vector<int32_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), num_slots - count);
  return rows;
}

class Attention : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    if (!MachineHas(Isa::kAvx512Bf16)) GTEST_SKIP() << kNoBf16;
  }
};

TEST_P(Attention, EveryRowOfACausalPrefill) {
  for (int n : {1, 15, 16, 17, 63, 64, 65, 300})
    EXPECT_LT(Problem(GetParam(), n, AllRows(n)).Error(), kBound) << n;
}

TEST_P(Attention, FewRowsAtTheEnd) {
  for (int rows = 1; rows <= 17; ++rows)
    EXPECT_LT(Problem(GetParam(), 203, LastRows(203, rows)).Error(), kBound) << rows;
}

TEST_P(Attention, RowsSpreadOverTheCache) {
  const int n = 700;
  EXPECT_LT(Problem(GetParam(), n, {0}).Error(), kBound);
  EXPECT_LT(Problem(GetParam(), n, {0, n / 3, n / 2, n / 2 + 1, n - 1}).Error(), kBound);
  EXPECT_LT(Problem(GetParam(), n, {0, 1, 2, 3, 4, 63, 64, 65, 127, 128, 350, n - 2, n - 1}).Error(), kBound);
}

TEST_P(Attention, WindowsOfEightRows) {
  std::vector<int32_t> rows;
  for (int window : {0, 3, 4, 20, 41, 42, 43})
    for (int i = 0; i < 8; ++i) rows.push_back(window * 8 + i);
  EXPECT_LT(Problem(GetParam(), 400, rows).Error(), kBound);
}

TEST_P(Attention, SharpScores) {
  EXPECT_LT(Problem(GetParam(), 200, AllRows(200), {.query_scale = 30}).Error(), kBound);
  EXPECT_LT(Problem(GetParam(), 200, LastRows(200, 2), {.query_scale = 30}).Error(), kBound);
}

TEST_P(Attention, RisingAndFallingScores) {  // the running maximum moves at every tile, or never again
  for (float ramp : {40.0f, -40.0f})
    for (int rows : {1, 200})
      EXPECT_LT(Problem(GetParam(), 200, LastRows(200, rows), {.query_offset = 1, .key_ramp = ramp}).Error(),
                kBound)
          << ramp << " " << rows;
}

TEST_P(Attention, SlotsOfLessWeight) {
  for (float step : {-3.0f, 5.0f})
    for (int rows : {1, 200})
      EXPECT_LT(Problem(GetParam(), 200, LastRows(200, rows), {.bias_step = step}).Error(), kBound)
          << step << " " << rows;
}

TEST_P(Attention, LongContextCutInKeyRangesForSeveralThreads) {
  for (int threads : {1, 2, 3})
    for (int rows : {1, 40})
      EXPECT_LT(Problem(GetParam(), 1500, LastRows(1500, rows)).Error(threads), kBound) << threads;
}

TEST_P(Attention, SameBitsEachTime) {
  const Problem problem(GetParam(), 300, LastRows(300, 33));
  EXPECT_EQ(problem.Run(2), problem.Run(2));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(Shape{9, 3, 64}, Shape{14, 2, 64}, Shape{4, 4, 64}, Shape{9, 3, 128},
                                         Shape{16, 1, 128}));

TEST(AttentionOfRandomShapes, MeetsTheBound) {
  if (!MachineHas(Isa::kAvx512Bf16)) GTEST_SKIP() << kNoBf16;
  std::mt19937 random(7);
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int round = 0; round < 60; ++round) {
    const int n = pick(1, round % 10 ? 300 : 1500), kv_heads = pick(1, 3);
    const Shape shape{kv_heads * pick(1, 9), kv_heads, 64 * pick(1, 2)};
    std::vector<int32_t> rows = AllRows(n);
    std::shuffle(rows.begin(), rows.end(), random);
    rows.resize(static_cast<size_t>(pick(1, std::min(n, 100))));
    std::sort(rows.begin(), rows.end());
    const Scores scores{.query_scale = pick(0, 3) ? 1.0f : 10.0f,
                        .bias_step = static_cast<float>(pick(-2, 2))};
    EXPECT_LT(Problem(shape, n, rows, scores, 100u + static_cast<uint32_t>(round)).Error(pick(1, 2)), kBound)
        << "round " << round;
  }
}

}  // namespace
}  // namespace cacheclip
