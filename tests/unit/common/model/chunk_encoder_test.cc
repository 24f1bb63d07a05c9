#include "common/model/chunk_encoder.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <set>

#include "common/model/kernels/isa.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

std::vector<std::byte> Image(const ChunkPointer& chunk) {
  return {chunk->image().begin(), chunk->image().end()};
}

class Encoder : public testing::TestWithParam<ComputeDtype> {
 protected:
  void SetUp() override {
    if (GetParam() == ComputeDtype::kBfloat16 && ActiveIsa() != Isa::kAvx512Bf16)
      GTEST_SKIP() << "fp32 stands in for bf16 here";
  }
  ChunkEncoder Make(ChunkEncoderOptions options = {.prefix_ids = TestIds(9, 1)}) {
    return {model_, std::move(options)};
  }
  TempFolder folder_;
  std::shared_ptr<const LanguageModel> model_ =
      LoadTinyModel(folder_.path(), {.num_layers = 3, .max_positions = 1500}, GetParam());
  const std::vector<int32_t> ids_ = TestIds(30, 5);
};

TEST_P(Encoder, HeaderSaysWhatTheChunkIs) {
  const std::vector<int32_t> ids = TestIds(2, 5);
  const std::vector<TokenSpan> spans = {{0, 3}, {3, 5}};
  ChunkEncoder encoder = Make({.namespace_salt = "salt", .prefix_ids = {4, 5}, .writer_version = "test 1"});
  const ChunkPointer chunk = encoder.Encode(ids, spans, 1234).value();
  EXPECT_EQ(chunk->key(), encoder.KeyOf(ids));
  EXPECT_EQ(chunk->header().model_fingerprint, model_->fingerprint());
  EXPECT_EQ(chunk->header().prefix_ids, (std::vector<int32_t>{4, 5}));
  EXPECT_EQ(chunk->header().chunk_ids, ids);
  EXPECT_EQ(chunk->header().token_spans, spans);
  EXPECT_EQ(chunk->header().writer_version, "test 1");
  EXPECT_EQ(chunk->header().created_unix_seconds, 1234);
  EXPECT_EQ(chunk->shape(), model_->kv_shape());
  EXPECT_TRUE(chunk->VerifyPayload().ok());
}

TEST_P(Encoder, KeyChangesWithEverythingThatEntersIt) {
  std::set<std::string> keys;
  const auto add = [&](const ChunkEncoderOptions& options, const std::vector<int32_t>& ids) {
    keys.insert(Make(options).KeyOf(ids).ToHex());
  };
  Digest tokenizer{};
  tokenizer[0] = 1;
  add({}, ids_);
  add({.tokenizer_fingerprint = tokenizer}, ids_);
  add({.namespace_salt = "salt"}, ids_);
  add({.prefix_ids = {7}}, ids_);
  add({.kv_dtype = KvDtype::kInt8}, ids_);
  add({}, TestIds(29, 5));
  EXPECT_EQ(keys.size(), 6u);
  add({.writer_version = "2"}, ids_);  // does not enter
  EXPECT_EQ(keys.size(), 6u);
}

TEST_P(Encoder, EncodingTwiceGivesTheSameBytes) {
  ChunkEncoder encoder = Make();
  EXPECT_EQ(Image(encoder.Encode(ids_, {}, 7).value()), Image(encoder.Encode(ids_, {}, 7).value()));
}

TEST_P(Encoder, WhatWasEncodedBeforeLeavesNoTrace) {
  ChunkEncoder alone = Make(), busy = Make();
  const std::vector<std::byte> expected = Image(alone.Encode(ids_, {}, 7).value());
  ASSERT_TRUE(busy.Encode(TestIds(40, 8), {}, 7).ok());
  EXPECT_EQ(Image(busy.Encode(ids_, {}, 7).value()), expected);
  ASSERT_TRUE(busy.Encode(TestIds(1100, 9), {}, 7).ok());  // a larger session
  EXPECT_EQ(Image(busy.Encode(ids_, {}, 7).value()), expected);
  ASSERT_TRUE(busy.EncodePrefix(7).ok());
  EXPECT_EQ(Image(busy.Encode(ids_, {}, 7).value()), expected);
  ASSERT_FALSE(busy.Encode(TestIds(40, 3), {}, 7, CancelledToken()).ok());
  EXPECT_EQ(Image(busy.Encode(ids_, {}, 7).value()), expected);
}

TEST_P(Encoder, PrefixKvIsThatOfTheSameIdsBehindNothing) {
  ChunkEncoder encoder = Make(), bare = Make({});
  const ChunkPointer prefix = encoder.EncodePrefix(7).value();
  EXPECT_EQ(prefix->key(), encoder.PrefixKey());
  EXPECT_EQ(prefix->key(), bare.KeyOf(encoder.prefix_ids()));
  EXPECT_EQ(Image(prefix), Image(bare.Encode(encoder.prefix_ids(), {}, 7).value()));
}

TEST_P(Encoder, Int8ChunkIsTheOtherOneWithinHalfAScale) {
  ChunkEncoder plain = Make(), int8 = Make({.prefix_ids = TestIds(9, 1), .kv_dtype = KvDtype::kInt8});
  const ChunkPointer expected = plain.Encode(ids_, {}, 7).value(), chunk = int8.Encode(ids_, {}, 7).value();
  EXPECT_EQ(chunk->key(), int8.KeyOf(ids_));
  EXPECT_NE(chunk->key(), expected->key());
  EXPECT_EQ(chunk->shape(), (KvShape{3, 2, 64, KvDtype::kInt8}));
  EXPECT_TRUE(chunk->VerifyPayload().ok());
  const auto float_at = [&](std::span<const std::byte> bytes, size_t index) {
    uint32_t bits = 0;
    const size_t width = bytes.size() / (ids_.size() * 128);
    std::memcpy(reinterpret_cast<std::byte*>(&bits) + 4 - width, bytes.data() + index * width, width);
    return std::bit_cast<float>(bits);
  };
  for (int layer = 0; layer < 3; ++layer)
    for (size_t i = 0; i < ids_.size() * 128; ++i) {
      const float key_scale = chunk->KeyScales(layer)[i % 128],
                  value_scale = chunk->ValueScales(layer)[i / 64];
      const auto element = [i](std::span<const std::byte> bytes) {
        return static_cast<float>(static_cast<int8_t>(bytes[i]));
      };
      ASSERT_NEAR(element(chunk->Keys(layer)) * key_scale, float_at(expected->Keys(layer), i),
                  0.50001f * key_scale);
      ASSERT_NEAR(element(chunk->Values(layer)) * value_scale, float_at(expected->Values(layer), i),
                  0.50001f * value_scale);
    }
}

TEST_P(Encoder, Int8ChunksStandBehindThePrefixAsTheModelMakesIt) {
  ChunkEncoder plain = Make(), int8 = Make({.prefix_ids = TestIds(9, 1), .kv_dtype = KvDtype::kInt8});
  EXPECT_EQ(int8.PrefixKey(), plain.PrefixKey());
  EXPECT_EQ(Image(int8.EncodePrefix(7).value()), Image(plain.EncodePrefix(7).value()));
}

TEST_P(Encoder, KvThatIsNotFiniteIsInternalAsInt8) {
  const TempFolder folder;
  WriteTinyModel(folder.path(), {.num_layers = 1, .with_tokenizer = false});
  std::fstream file(folder.path() + "/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(0, std::ios::end);
  const std::string nans(static_cast<size_t>(file.tellp()) / 2, '\xff');
  file.seekp(-static_cast<std::streamoff>(nans.size()), std::ios::end);
  file.write(nans.data(), static_cast<std::streamsize>(nans.size()));
  file.close();
  const auto broken = LanguageModel::Load({.directory = folder.path(), .dtype = GetParam()}).value();
  ChunkEncoder encoder(broken, {.kv_dtype = KvDtype::kInt8});
  const absl::Status status = encoder.Encode(ids_, {}, 0).status();
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_NE(status.message().find("not finite"), absl::string_view::npos) << status;
}

TEST_P(Encoder, ChunkMustFitTheContextLength) {
  ChunkEncoder encoder = Make();
  EXPECT_TRUE(encoder.Encode(TestIds(1491, 2), {}, 0).ok());
  EXPECT_EQ(encoder.Encode(TestIds(1492, 2), {}, 0).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_P(Encoder, ThereMustBeSomethingToEncode) {
  EXPECT_EQ(Make().Encode({}, {}, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Make({}).EncodePrefix(0).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(Encoder, IdsOutsideTheVocabularyAreRefused) {
  for (int32_t id : {-1, 1024}) {
    ChunkEncoder encoder = Make();
    EXPECT_EQ(encoder.Encode(std::vector<int32_t>{5, id}, {}, 0).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  ChunkEncoder behind_bad_prefix = Make({.prefix_ids = {2000}});
  EXPECT_EQ(behind_bad_prefix.Encode(ids_, {}, 0).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(Encoder, SpansMustMatchTheIds) {
  const std::vector<TokenSpan> spans = {{0, 1}};
  EXPECT_FALSE(Make().Encode(ids_, spans, 0).ok());
}

TEST_P(Encoder, CancellationStopsIt) {
  EXPECT_EQ(Make().Encode(ids_, {}, 0, CancelledToken()).status().code(), absl::StatusCode::kCancelled);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, Encoder, testing::Values(ComputeDtype::kFloat32, ComputeDtype::kBfloat16));

}  // namespace
}  // namespace cacheclip
