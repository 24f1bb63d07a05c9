#include "common/model/rope.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "common/model/kv_cache.h"
#include "common/model/reference_model.h"
#include "common/model/weights.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

double MaxAbs(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

ModelConfig Config(RopeParameters rope) { return {.head_dim = 64, .rope = rope}; }

at::Tensor Positions(int64_t first, int64_t count) {
  return at::arange(first, first + count, at::TensorOptions().dtype(at::kLong));
}

class Rope : public testing::TestWithParam<RopeParameters> {};

TEST_P(Rope, FrequenciesFollowTheDefinition) {
  const at::Tensor ours = InverseFrequencies(Config(GetParam()));
  const std::vector<double> reference = ReferenceFrequencies(Config(GetParam()));
  ASSERT_EQ(ours.numel(), static_cast<int64_t>(reference.size()));
  for (size_t i = 0; i < reference.size(); ++i)
    EXPECT_NEAR(ours[static_cast<int64_t>(i)].item<double>() / reference[i], 1, 2e-6) << i;
}

TEST_P(Rope, ThereAndBackReturnsTheKey) {
  const at::Tensor keys = at::randn({20, 3, 64}), frequencies = InverseFrequencies(Config(GetParam()));
  const RotationTable there = MakeRotationTable(frequencies, Positions(5000, 20));
  const RotationTable back{there.cosine, at::neg(there.sine)};
  EXPECT_LT(MaxAbs(Rotate(Rotate(keys, there), back) - keys), 1e-5);
}

TEST_P(Rope, ScoresDependOnTheDistanceAlone) {
  const at::Tensor query = at::randn({1, 1, 64}), key = at::randn({1, 1, 64});
  const at::Tensor frequencies = InverseFrequencies(Config(GetParam()));
  const auto score = [&](int64_t query_position, int64_t key_position) {
    const at::Tensor q = Rotate(query, MakeRotationTable(frequencies, Positions(query_position, 1)));
    return (q * Rotate(key, MakeRotationTable(frequencies, Positions(key_position, 1)))).sum().item<double>();
  };
  EXPECT_NEAR(score(40, 30), score(1040, 1030), 5e-3);
  EXPECT_NEAR(score(3, 3), (query * key).sum().item<double>(), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Rope,
    testing::Values(RopeParameters{}, RopeParameters{.theta = 1e6},
                    RopeParameters{.scaling = RopeScaling::kLinear, .factor = 2.5},
                    RopeParameters{.theta = 5e5, .scaling = RopeScaling::kLlama3, .factor = 8},
                    RopeParameters{
                        .scaling = RopeScaling::kLlama3, .factor = 32, .original_max_positions = 4096}));

TEST(RotationTables, AreTheRotationsOfThePositionsHoweverTheyGrow) {
  const at::Tensor frequencies = InverseFrequencies(Config({}));
  const RotationTables tables(frequencies);
  const auto expect_same = [](const RotationTable& a, const RotationTable& b) {
    EXPECT_TRUE(a.cosine.equal(b.cosine));
    EXPECT_TRUE(a.sine.equal(b.sine));
  };
  const RotationTable early = tables.Of(3, 20);
  for (int32_t first : {0, 1000, 1024, 5000}) {
    SCOPED_TRACE(first);
    expect_same(tables.Of(first, 30), MakeRotationTable(frequencies, Positions(first, 30)));
  }
  expect_same(early, MakeRotationTable(frequencies, Positions(3, 20)));
  const std::vector<int32_t> scattered = {9, 0, 7000, 9};
  expect_same(tables.Of(scattered),
              MakeRotationTable(frequencies, at::tensor(std::vector<int64_t>{9, 0, 7000, 9})));
}

TEST(Rotate, RoundsOnceToTheKeysDtype) {
  const at::Tensor keys = at::randn({7, 2, 64}).to(at::kBFloat16);
  const RotationTable table = MakeRotationTable(InverseFrequencies(Config({})), Positions(100, 7));
  const at::Tensor rotated = Rotate(keys, table);
  EXPECT_EQ(rotated.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(rotated.equal(Rotate(keys.to(at::kFloat), table).to(at::kBFloat16)));
}

TEST(Rotate, StoredKeyOfLayer0RotatedToAnyPositionIsTheDirectlyComputedOne) {
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.family = "qwen3", .num_layers = 2});
  const std::vector<int32_t> ids = TestIds(11, 4);
  ChunkEncoder encoder(model, {.prefix_ids = TestIds(5, 1)});
  const ChunkPointer chunk = encoder.Encode(ids, {}, 0).value();
  const at::Tensor stored =
      at::from_blob(const_cast<std::byte*>(chunk->Keys(0).data()), {11, 2, 64}, at::kFloat);
  for (int32_t position : {0, 5, 900}) {
    const auto session = InferenceSession::Create(model, 16).value();
    Rows rows;
    rows.Append(ids, 0, position);
    ASSERT_TRUE(session->Run(rows).ok());
    const at::Tensor placed = Rotate(stored, model->tensors().rotations->Of(position, 11));
    EXPECT_LT(MaxAbs(session->cache().Keys(0, 0, 11) - placed.transpose(0, 1)), 1e-5) << position;
  }
}

}  // namespace
}  // namespace cacheclip
