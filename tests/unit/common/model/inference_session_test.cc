#include "common/model/inference_session.h"

#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/model/kv_cache.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"
#include "tests/unit/common/model/model_fixtures.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

class Session : public testing::Test {
 protected:
  std::unique_ptr<InferenceSession> Create(int32_t capacity) {
    return InferenceSession::Create(model_, capacity).value();
  }
  static Rows MakeRows(std::vector<int32_t> ids, std::vector<int32_t> slots) {
    return {.ids = std::move(ids), .slots = slots, .positions = slots};
  }
  void ExpectRefused(const Rows& rows, const std::string& mentions) {
    for (const absl::Status& status :
         {session_->Run(rows).status(), session_->RunAllLogits(rows, 0).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(mentions));
    }
    EXPECT_EQ(session_->length(), 0);
  }

  TempFolder folder_;
  std::shared_ptr<const LanguageModel> model_ =
      LoadTinyModel(folder_.path(), {.vocab_size = 100, .num_layers = 2, .max_positions = 128});
  std::unique_ptr<InferenceSession> session_ = Create(16);
};

TEST_F(Session, CapacityIsAtMostTheContextLength) {
  for (int32_t capacity : {-1, 0, 129})
    EXPECT_EQ(InferenceSession::Create(model_, capacity).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Create(128)->capacity(), 128);
}

TEST_F(Session, CacheBytesAreKeysAndValuesOfEveryLayer) {
  // fp32, two layers, two kv heads of 64.
  EXPECT_EQ(InferenceSession::CacheBytes(*model_, 16), int64_t{2} * 4 * 2 * 2 * 64 * 16);
}

TEST_F(Session, RowsThatMakeNoSenseAreRefused) {
  ExpectRefused({}, "empty");
  ExpectRefused({.ids = {1, 2}, .slots = {0, 1}, .positions = {0}}, "differ in number");
  ExpectRefused({.ids = {1, 2}, .slots = {0}, .positions = {0, 1}}, "differ in number");
  ExpectRefused(MakeRows({1, 100}, {0, 1}), "token id 100 is outside the vocabulary");
  ExpectRefused(MakeRows({-1}, {0}), "token id -1");
  ExpectRefused(MakeRows({1, 2}, {1, 0}), "ascend");
  ExpectRefused(MakeRows({1, 2}, {3, 3}), "ascend");
  ExpectRefused(MakeRows({1}, {16}), "slot 16 exceeds the session's capacity 16");
  ExpectRefused(MakeRows({1, 2}, {-1, 3}), "slot");
}

TEST_F(Session, FirstLogitsRowMustBeOneOfTheRows) {
  const Rows rows = MakeRows({1, 2, 3}, {0, 1, 2});
  for (int32_t first : {-1, 3}) {
    const absl::Status status = session_->RunAllLogits(rows, first).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << first;
  }
  EXPECT_EQ(session_->RunAllLogits(rows, 1)->size(), 2u);
}

TEST_F(Session, RunGivesTheLastOfAllLogits) {
  const Rows rows = MakeRows({5, 6, 7, 8}, {0, 1, 2, 3});
  const auto all = session_->RunAllLogits(rows, 0).value();
  EXPECT_LT(MaxDifference(session_->Run(rows).value(), all.back()), 1e-5);
  EXPECT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].size(), 100u);
}

TEST_F(Session, DecodeFollowsTheHighestSlotAndStopsAtCapacity) {
  ASSERT_TRUE(session_->Run(MakeRows({1, 2}, {0, 14})).ok());
  EXPECT_EQ(session_->length(), 15);
  ASSERT_TRUE(session_->Decode(3).ok());
  EXPECT_EQ(session_->length(), 16);
  EXPECT_EQ(session_->Decode(4).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(session_->length(), 16);
}

TEST_F(Session, ChunkOfAnotherShapeIsRefused) {
  for (const KvShape& shape : {KvShape{2, 1, 64, KvDtype::kFp32}, KvShape{2, 2, 32, KvDtype::kFp32},
                               KvShape{1, 2, 64, KvDtype::kFp32}}) {
    const absl::Status status = session_->Place(*MakeTestChunk({.shape = shape}), 0, 0);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(shape.ToString()));
  }
}

TEST_F(Session, ChunkMustFit) {
  const ChunkPointer chunk = MakeTestChunk({.num_tokens = 10, .shape = model_->kv_shape()});
  EXPECT_TRUE(session_->Place(*chunk, 6, 0).ok());
  for (int32_t slot : {7, -1, 1 << 30})
    EXPECT_EQ(session_->Place(*chunk, slot, 0).code(), absl::StatusCode::kInvalidArgument) << slot;
}

TEST_F(Session, OnlyLayersThatExistArePlaced) {
  const ChunkPointer chunk = MakeTestChunk({.shape = model_->kv_shape()});
  const std::vector<ChunkPlace> places = {{chunk.get(), 0, 0}};
  EXPECT_TRUE(session_->PlaceLayers(places, 1, 2).ok());
  EXPECT_EQ(session_->PlaceLayers(places, 0, 3).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(session_->PlaceLayers(places, -1, 1).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Session, WhereOneChunkIsRefusedNoneIsPlaced) {
  const ChunkPointer chunk = MakeTestChunk({.num_tokens = 4, .shape = model_->kv_shape()});
  const std::vector<ChunkPlace> places = {{chunk.get(), 0, 0}, {chunk.get(), 14, 4}};
  const at::Tensor before = session_->cache().Values(0, 0, 4);
  EXPECT_EQ(session_->PlaceLayers(places, 0, 2).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(session_->cache().Values(0, 0, 4).equal(before));
  EXPECT_TRUE(session_->PlaceLayers(std::span(places).first(1), 0, 2).ok());
  EXPECT_FALSE(session_->cache().Values(0, 0, 4).equal(before));
}

TEST_F(Session, DeeperChunksServeATruncatedModel) {
  const ChunkPointer chunk = MakeTestChunk({.shape = {5, 2, 64, KvDtype::kFp32}});
  EXPECT_TRUE(session_->Place(*chunk, 0, 0).ok());
}

TEST_F(Session, Int8ChunksArePlacedDequantised) {
  const ChunkPointer chunk = MakeTestChunk({.num_tokens = 5, .shape = {2, 2, 64, KvDtype::kInt8}});
  ASSERT_TRUE(session_->Place(*chunk, 3, 0).ok());
  const at::Tensor keys = session_->cache().Keys(1, 3, 8), values = session_->cache().Values(1, 3, 8);
  const auto element = [](std::span<const std::byte> bytes, int64_t index) {
    return static_cast<float>(static_cast<int8_t>(bytes[static_cast<size_t>(index)]));
  };
  for (int64_t head = 0; head < 2; ++head)
    for (int64_t token = 0; token < 5; ++token)
      for (int64_t i = 0; i < 64; ++i) {
        const int64_t row = token * 2 + head;
        ASSERT_EQ(values[head][token][i].item<float>(),
                  element(chunk->Values(1), row * 64 + i) * chunk->ValueScales(1)[row]);
        if (token == 0) {  // its position is 0: its keys are not turned
          ASSERT_EQ(keys[head][token][i].item<float>(),
                    element(chunk->Keys(1), head * 64 + i) * chunk->KeyScales(1)[head * 64 + i]);
        }
      }
}

TEST_F(Session, PlacingLayerByLayerIsPlacingAtOnce) {
  const PromptTokens prompt{.prefix_ids = {1, 2}, .chunk_ids = {{5, 6, 7}}, .suffix_ids = {8, 9}};
  const EncodedPrompt encoded = Encode(model_, prompt);
  const Rows rows = SelectiveRows(prompt, {});
  const auto at_once = Assemble(model_, prompt)->Run(rows).value();
  const auto by_layer = session_->Run(rows, CancellationToken(), {.before_layer = [&](int layer) {
                                        const std::vector<ChunkPlace> places = {
                                            {encoded.prefix.get(), 0, 0}, {encoded.chunks[0].get(), 2, 2}};
                                        return session_->PlaceLayers(places, layer, layer + 1);
                                      }});
  EXPECT_EQ(by_layer.value(), at_once);
}

TEST_F(Session, ShallowRowsLeaveTheLayersAboveThemAsTheyWere) {
  const PromptTokens prompt{.prefix_ids = {1, 2}, .chunk_ids = {{5, 6, 7}, {9, 10}}, .suffix_ids = {8, 9}};
  const Rows rows = SelectiveRows(prompt, std::vector<int32_t>{3, 4});
  const auto values = [&](InferenceSession& session, int layer) {
    return session.cache().Values(layer, 5, 7);
  };
  const auto stale = Assemble(model_, prompt), fresh = Assemble(model_, prompt),
             mixed = Assemble(model_, prompt);
  const Logits of_fresh = fresh->Run(rows).value();
  const Logits of_mixed =
      mixed->Run(rows, CancellationToken(), {.num_shallow_rows = 2, .shallow_layers = 1}).value();
  EXPECT_TRUE(values(*mixed, 0).equal(values(*fresh, 0)));
  EXPECT_TRUE(values(*mixed, 1).equal(values(*stale, 1)));
  EXPECT_FALSE(values(*fresh, 1).equal(values(*stale, 1)));
  EXPECT_NE(of_mixed, of_fresh);
  EXPECT_EQ(mixed->length(), 9);
}

TEST_F(Session, RowsWhoseLogitsNobodyAsksForAreStoredInEveryLayer) {
  const Rows rows = MakeRows({1, 2, 5, 6, 7}, {0, 1, 2, 3, 4});
  const auto other = Create(16);
  const auto all_logits = session_->RunAllLogits(rows, 0).value();
  EXPECT_LT(MaxDifference(other->Run(rows).value(), all_logits.back()), 1e-5);
  for (int layer = 0; layer < model_->num_layers(); ++layer) {
    EXPECT_TRUE(at::allclose(other->cache().Keys(layer, 0, 5), session_->cache().Keys(layer, 0, 5)));
    EXPECT_TRUE(at::allclose(other->cache().Values(layer, 0, 5), session_->cache().Values(layer, 0, 5)));
  }
  EXPECT_LT(MaxDifference(other->Decode(9).value(), session_->Decode(9).value()), 1e-5);
}

TEST_F(Session, ShallowRowsThroughAllOrNoLayersAreTheCasesKnown) {
  const PromptTokens prompt{.prefix_ids = {1, 2}, .chunk_ids = {{5, 6, 7}, {9, 10}}, .suffix_ids = {8, 9}};
  const Rows rows = SelectiveRows(prompt, std::vector<int32_t>{3, 4});
  const auto run = [&](const Rows& some, const RunOptions& options) {
    return Assemble(model_, prompt)->Run(some, CancellationToken(), options).value();
  };
  EXPECT_LT(MaxDifference(run(rows, {.num_shallow_rows = 2, .shallow_layers = 2}), run(rows, {})), 1e-5);
  EXPECT_LT(MaxDifference(run(rows, {.num_shallow_rows = 2}), run(SelectiveRows(prompt, {}), {})), 1e-5);
}

TEST_F(Session, LocalHeadsOfShallowRowsLeaveOutWhatStandsFar) {
  const TempFolder folder;
  const auto model = LoadTinyModel(folder.path(), {.num_layers = 2, .max_positions = 512});
  const PromptTokens prompt{
      .prefix_ids = {1, 2}, .chunk_ids = {TestIds(300, 1), TestIds(40, 2)}, .suffix_ids = {8, 9}};
  std::vector<int32_t> indices(30);
  std::iota(indices.begin(), indices.end(), 305);
  const Rows rows = SelectiveRows(prompt, indices);
  const auto values = [&](const LocalHeads* local) {
    const auto session = Assemble(model, prompt);
    RunOptions options{.num_shallow_rows = 30, .shallow_layers = 2, .local_heads = local};
    session->Run(rows, CancellationToken(), options).value();
    return session->cache().Values(1, 0, session->length());
  };
  const at::Tensor usual = values(nullptr);
  const LocalHeads wide{.window = 344, .heads = {{0, 0}, {0, 1}}}, narrow{.window = 5, .heads = {{0, 1}}};
  const LocalHeads of_the_last_layer{.window = 5, .heads = {{1, 0}, {1, 1}}};
  EXPECT_TRUE(values(&wide).equal(usual)) << "everything is near";
  EXPECT_TRUE(values(&of_the_last_layer).equal(usual)) << "recomputed rows do not attend there";
  const at::Tensor changed = values(&narrow) - usual;
  EXPECT_GT(changed.slice(1, 307, 337).abs().max().item<float>(), 1e-3);
  EXPECT_EQ(changed.slice(1, 0, 307).abs().max().item<float>(), 0) << "other tokens stay as they are";
}

TEST_F(Session, LocalHeadsAreChecked) {
  const Rows rows = MakeRows({1, 2, 3}, {0, 1, 2});
  for (const LocalHeads& local :
       {LocalHeads{.window = 0}, LocalHeads{.window = 5, .heads = {{2, 0}}},
        LocalHeads{.window = 5, .heads = {{0, 2}}}, LocalHeads{.window = 5, .heads = {{-1, 0}}}})
    EXPECT_EQ(session_
                  ->Run(rows, CancellationToken(),
                        {.num_shallow_rows = 1, .shallow_layers = 2, .local_heads = &local})
                  .status()
                  .code(),
              absl::StatusCode::kInvalidArgument);
}

TEST_F(Session, ShallowRowsAreChecked) {
  const Rows rows = MakeRows({1, 2, 3}, {0, 1, 2});
  for (const RunOptions& options : {RunOptions{.num_shallow_rows = 3}, RunOptions{.num_shallow_rows = -1},
                                    RunOptions{.num_shallow_rows = 1, .shallow_layers = 3},
                                    RunOptions{.num_shallow_rows = 1, .shallow_layers = -1}})
    EXPECT_EQ(session_->Run(rows, CancellationToken(), options).status().code(),
              absl::StatusCode::kInvalidArgument);
}

TEST_F(Session, AFailingLayerStopsTheRun) {
  const auto result =
      session_->Run(MakeRows({1}, {0}), CancellationToken(),
                    {.before_layer = [](int layer) { return absl::DataLossError(std::to_string(layer)); }});
  EXPECT_EQ(result.status(), absl::DataLossError("0"));
  EXPECT_EQ(session_->length(), 0);
}

TEST_F(Session, CancelledTokensStopEveryCall) {
  const Rows rows = MakeRows({1}, {0});
  EXPECT_EQ(session_->Run(rows, CancelledToken()).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(session_->RunAllLogits(rows, 0, CancelledToken()).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(session_->Decode(1, CancelledToken()).status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace cacheclip
