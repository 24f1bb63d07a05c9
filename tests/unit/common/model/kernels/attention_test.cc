// The kernels against scalar attention in double over the same inputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/model/kernels/attention_avx2.h"
#include "common/model/kernels/attention_avx512.h"
#include "tests/unit/common/model/kernels/bf16_arrays.h"

namespace cacheclip {
namespace {

struct Shape {
  int num_heads, num_kv_heads, head_dim;
};

struct Scores {
  float query_scale = 1, query_offset = 0, key_ramp = 0;  // the ramp adds ramp · slot / num_slots to each key
  float bias_step = 0;                                    // slot i has a bias of i mod 5 steps
};

struct Inputs {
  Shape shape;
  int num_slots = 0;
  std::vector<int32_t> limits;
  std::vector<float> queries;       // [limits, num_heads, head_dim]
  std::vector<float> keys, values;  // [num_slots, num_kv_heads, head_dim]
  std::vector<float> slot_bias;     // [num_slots], added to scaled scores

  float scale() const { return 1 / std::sqrt(static_cast<float>(shape.head_dim)); }
};

struct Kernel {
  const char* name;
  Isa isa;
  bool rounds_to_bf16;  // takes bf16, so that inputs have to be
  double bound;         // of the root mean square error, relative to that of the output
  std::vector<float> (*run)(const Inputs&, int num_threads);  // not a number where nothing is written
};

std::vector<float> RunAvx512(const Inputs& in, int num_threads) {
  using avx512::Bf16;
  const auto narrow = [](const std::vector<float>& values) {
    std::vector<Bf16> out(values.size());
    std::ranges::transform(values, out.begin(), ToBf16);
    return out;
  };
  const PackedLayer layer(in.shape.num_kv_heads, in.shape.head_dim, AlignedCapacity(in.num_slots));
  const auto slice = layer.slice();
  std::vector<int32_t> slots(static_cast<size_t>(in.num_slots));
  std::iota(slots.begin(), slots.end(), 0);
  avx512::StoreRows(slice, narrow(in.keys).data(), narrow(in.values).data(), slots.data(), in.num_slots);
  std::vector<float> bias(static_cast<size_t>(slice.capacity), 0.0f);  // in units of query-key products
  std::ranges::transform(in.slot_bias, bias.begin(), [&](float value) { return value / in.scale(); });
  const std::vector<Bf16> queries = narrow(in.queries);
  std::vector<Bf16> out(queries.size(), 0x7fc0);
  avx512::Attention({.queries = queries.data(),
                     .keys = slice.keys,
                     .values = slice.values,
                     .out = out.data(),
                     .limits = in.limits.data(),
                     .slot_bias = bias.data(),
                     .num_rows = static_cast<int>(in.limits.size()),
                     .num_heads = in.shape.num_heads,
                     .num_kv_heads = in.shape.num_kv_heads,
                     .head_dim = in.shape.head_dim,
                     .capacity = slice.capacity,
                     .scale = in.scale(),
                     .num_threads = num_threads});
  std::vector<float> wide(out.size());
  std::ranges::transform(out, wide.begin(), FromBf16);
  return wide;
}

std::vector<float> RunAvx2(const Inputs& in, int num_threads) {
  const size_t heads = static_cast<size_t>(in.shape.num_kv_heads),
               dim = static_cast<size_t>(in.shape.head_dim), slots = static_cast<size_t>(in.num_slots),
               capacity = slots + 3;
  const auto by_head = [&](const std::vector<float>& rows) {
    std::vector<float> out(heads * capacity * dim, std::nanf(""));  // slots that nobody wrote are never read
    for (size_t slot = 0; slot < slots; ++slot)
      for (size_t head = 0; head < heads; ++head)
        std::copy_n(&rows[(slot * heads + head) * dim], dim, &out[(head * capacity + slot) * dim]);
    return out;
  };
  const std::vector<float> keys = by_head(in.keys), values = by_head(in.values);
  std::vector<float> out(in.queries.size(), std::nanf(""));
  avx2::Attention({.queries = in.queries.data(),
                   .keys = keys.data(),
                   .values = values.data(),
                   .out = out.data(),
                   .limits = in.limits.data(),
                   .slot_bias = in.slot_bias.data(),
                   .num_rows = static_cast<int>(in.limits.size()),
                   .num_heads = in.shape.num_heads,
                   .num_kv_heads = in.shape.num_kv_heads,
                   .head_dim = in.shape.head_dim,
                   .capacity = static_cast<int>(capacity),
                   .scale = in.scale(),
                   .num_threads = num_threads});
  return out;
}

// The bf16 kernel rounds each softmax weight and each output, 2^-9 relative: an error below its bound is its
// own rounding. In fp32 it is the scores' rounding that counts: of up to 450 from products of up to 5000,
// 2^-24 relative, in the exponent.
constexpr Kernel kKernels[] = {{"avx512bf16", Isa::kAvx512Bf16, true, 6e-3, RunAvx512},
                               {"avx2", Isa::kAvx2, false, 1e-4, RunAvx2}};

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
    const double top = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (double& weight : weights) sum += weight = std::exp(weight - top);
    for (size_t slot = 0; slot < weights.size(); ++slot)
      for (size_t i = 0; i < dim; ++i) out[i] += weights[slot] / sum * in_.values[at(slot) + i];
    return out;
  }

  const Kernel& kernel_;
  Inputs in_;
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

TEST_P(Attention, EveryRowOfACausalPrefill) {
  for (int n : {1, 15, 16, 17, 63, 64, 65, 300}) EXPECT_TRUE(Of(n, AllRows(n)).Holds()) << n;
}

TEST_P(Attention, FewRowsAtTheEnd) {
  for (int rows = 1; rows <= 17; ++rows) EXPECT_TRUE(Of(203, LastRows(203, rows)).Holds()) << rows;
}

TEST_P(Attention, RowsSpreadOverTheCache) {
  const int n = 700;
  EXPECT_TRUE(Of(n, {0}).Holds());
  EXPECT_TRUE(Of(n, {0, n / 3, n / 2, n / 2 + 1, n - 1}).Holds());
  EXPECT_TRUE(Of(n, {0, 1, 2, 3, 4, 63, 64, 65, 127, 128, 350, n - 2, n - 1}).Holds());
}

TEST_P(Attention, WindowsOfEightRows) {
  std::vector<int32_t> rows;
  for (int window : {0, 3, 4, 20, 41, 42, 43})
    for (int i = 0; i < 8; ++i) rows.push_back(window * 8 + i);
  EXPECT_TRUE(Of(400, rows).Holds());
}

TEST_P(Attention, SharpScores) {
  EXPECT_TRUE(Of(200, AllRows(200), {.query_scale = 30}).Holds());
  EXPECT_TRUE(Of(200, LastRows(200, 2), {.query_scale = 30}).Holds());
}

TEST_P(Attention, RisingAndFallingScores) {  // the running maximum moves at every tile, or never again
  for (float ramp : {40.0f, -40.0f})
    for (int rows : {1, 200})
      EXPECT_TRUE(Of(200, LastRows(200, rows), {.query_offset = 1, .key_ramp = ramp}).Holds())
          << ramp << " " << rows;
}

TEST_P(Attention, SlotsOfLessWeight) {
  for (float step : {-3.0f, 5.0f})
    for (int rows : {1, 200})
      EXPECT_TRUE(Of(200, LastRows(200, rows), {.bias_step = step}).Holds()) << step << " " << rows;
}

TEST_P(Attention, LongContextCutInKeyRangesForSeveralThreads) {
  for (int threads : {1, 2, 3})
    for (int rows : {1, 40}) EXPECT_TRUE(Of(1500, LastRows(1500, rows)).Holds(threads)) << threads;
}

TEST_P(Attention, SameBitsEachTime) {
  const Problem problem = Of(300, LastRows(300, 33));
  EXPECT_EQ(problem.Run(2), problem.Run(2));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Combine(testing::ValuesIn(kKernels),
                                          testing::Values(Shape{9, 3, 64}, Shape{14, 2, 64}, Shape{4, 4, 64},
                                                          Shape{9, 3, 128}, Shape{16, 1, 128})));

TEST(AttentionOfHeadDimensions, AnyMultipleOfSixteenWithAvx2) {
  if (!MachineHas(Isa::kAvx2)) GTEST_SKIP() << "this CPU lacks avx2";
  for (const int dim : {16, 32, 80, 96, 256})
    for (const int rows : {1, 90})
      EXPECT_TRUE(Problem(kKernels[1], {6, 2, dim}, 100, LastRows(100, rows)).Holds(2)) << dim << " " << rows;
}

class AttentionOfRandomShapes : public testing::TestWithParam<Kernel> {};

TEST_P(AttentionOfRandomShapes, MeetsTheBound) {
  const Kernel kernel = GetParam();
  if (!MachineHas(kernel.isa)) GTEST_SKIP() << "this CPU lacks " << kernel.name;
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
    EXPECT_TRUE(
        Problem(kernel, shape, n, rows, scores, 100u + static_cast<uint32_t>(round)).Holds(pick(1, 2)))
        << "round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, AttentionOfRandomShapes, testing::ValuesIn(kKernels));

}  // namespace
}  // namespace cacheclip
