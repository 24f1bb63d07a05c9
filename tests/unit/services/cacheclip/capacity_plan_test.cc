#include "services/cacheclip/capacity_plan.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

// 30 layers x 3 heads x 64 in bf16: 23 040 bytes a token.
CapacityInput Small() {
  CapacityInput input;
  input.kv_shape = {.num_layers = 30, .num_kv_heads = 3, .head_dim = 64, .dtype = KvDtype::kBf16};
  input.num_parameters = 135'000'000;
  input.num_documents = 1000;
  input.corpus_tokens = 1000 * 1024;
  input.chunk_tokens = 512;
  input.prefill_tokens_per_second = 1000;
  return input;
}

CapacityPlan PlanOf(const CapacityInput& input) {
  const auto plan = PlanCapacity(input);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : CapacityPlan();
}

const TierNeed& TierOf(const CapacityPlan& plan, const std::string& name) {
  static const TierNeed none;
  for (const TierNeed& need : plan.tiers)
    if (need.tier == name) return need;
  return none;
}

TEST(CapacityPlan, CountsBytesAsTheFormatLaysThemOut) {
  const CapacityPlan plan = PlanOf(Small());
  EXPECT_EQ(plan.bytes_per_token, 23'040);
  EXPECT_EQ(plan.num_chunks, 2000);
  EXPECT_EQ(plan.slices_per_chunk, 30);
  EXPECT_GE(plan.bytes_per_chunk, 512 * 23'040);
  EXPECT_LT(plan.bytes_per_chunk, 512 * 23'040 * 1.01);
  EXPECT_EQ(plan.corpus_bytes, 2000 * plan.bytes_per_chunk);
}

TEST(CapacityPlan, Int8IsStoredWithItsScalesAndServedAsBf16) {
  CapacityInput input = Small();
  const CapacityPlan bf16 = PlanOf(input);
  input.kv_shape.dtype = KvDtype::kInt8;
  const CapacityPlan int8 = PlanOf(input);
  EXPECT_EQ(int8.bytes_per_token, 30 * (2 * 192 + 12));
  // 512 tokens: elements, 192 key scales and 3 x 512 value scales of 4 bytes a layer; the header is as large.
  EXPECT_EQ(int8.bytes_per_chunk, bf16.bytes_per_chunk - 512 * 23'040 / 2 + 30 * (768 + 6144));
  EXPECT_EQ(int8.request_kv_bytes, bf16.request_kv_bytes);
}

TEST(CapacityPlan, ChunksEndWhereDocumentsEnd) {
  CapacityInput input = Small();
  input.num_documents = 10'000;  // of 103 tokens each
  EXPECT_EQ(PlanOf(input).num_chunks, 10'000);
}

TEST(CapacityPlan, EachTierServesWhatFasterOnesDoNot) {
  const CapacityPlan plan = PlanOf(Small());
  EXPECT_DOUBLE_EQ(TierOf(plan, "memory").share_of_lookups, 0.8);
  EXPECT_NEAR(TierOf(plan, "memory").share_of_chunks, 0.1, 1e-6);
  EXPECT_NEAR(TierOf(plan, "disk").share_of_lookups, 0.2, 1e-9);  // 24 GB fit on one disk
  EXPECT_EQ(TierOf(plan, "redis").share_of_lookups, 0);
  EXPECT_EQ(plan.recomputed_lookups, 0);
  EXPECT_EQ(plan.network_bytes_per_second, 0);
}

TEST(CapacityPlan, ReadsOverTheNetworkWhatReplicasDoNotHold) {
  CapacityInput input = Small();
  input.max_memory_bytes = input.max_disk_bytes = 0;
  input.questions_per_second = 10;
  const CapacityPlan plan = PlanOf(input);
  EXPECT_EQ(plan.tiers.size(), 2);
  EXPECT_NEAR(TierOf(plan, "redis").share_of_lookups, 0.8, 1e-6);
  EXPECT_NEAR(TierOf(plan, "object").share_of_lookups, 0.2, 1e-6);
  EXPECT_NEAR(plan.network_bytes_per_second, 10.0 * 8 * static_cast<double>(plan.bytes_per_chunk), 1);
}

TEST(CapacityPlan, RedisHoldsAllThatItMayWithoutAnObjectStore) {
  CapacityInput input = Small();
  input.has_object_store = false;
  const CapacityPlan plan = PlanOf(input);
  EXPECT_EQ(TierOf(plan, "redis").share_of_chunks, 1);
  EXPECT_GT(TierOf(plan, "redis").bytes, plan.corpus_bytes);
}

TEST(CapacityPlan, LookUpsWithoutATierCostComputeTime) {
  CapacityInput input = Small();
  const CapacityPlan stored = PlanOf(input);
  input.max_memory_bytes = input.max_disk_bytes = input.max_redis_bytes = 0;
  input.has_object_store = false;
  const CapacityPlan computed = PlanOf(input);
  EXPECT_TRUE(computed.tiers.empty());
  EXPECT_EQ(computed.recomputed_lookups, 1);
  EXPECT_NEAR(computed.question_seconds - stored.question_seconds, 8 * 512 / 1000.0, 1e-9);
}

TEST(CapacityPlan, ReplicasCarryTheLoadAtTheGivenUtilisation) {
  CapacityInput input = Small();
  input.decode_tokens_per_second = 100;
  input.questions_per_second = 6;
  input.selection_seconds = 0.05;
  input.ingest_hours = 1;
  const CapacityPlan plan = PlanOf(input);
  // (8 * 512 * 0.2 + 32) / 1000 + 128 / 100 seconds a question
  EXPECT_NEAR(plan.question_seconds, 2.1312, 1e-9);
  EXPECT_EQ(plan.generation_replicas, 22 + 1);
  EXPECT_EQ(plan.selector_replicas, 1 + 1);
  EXPECT_EQ(plan.ingestion_replicas, 1 + 1);
  EXPECT_NEAR(plan.first_token_seconds, 0.05 + 0.8512, 1e-9);
}

TEST(CapacityPlan, PodMemoryIsWeightsTierRequestsAndProgram) {
  const CapacityPlan plan = PlanOf(Small());
  EXPECT_EQ(plan.request_kv_bytes, 8 * (64 + 8 * 512 + 32 + 128) * 23'040);
  EXPECT_EQ(plan.generation_pod_bytes,
            270'000'000 + plan.request_kv_bytes + TierOf(plan, "memory").bytes + (int64_t{1} << 30));
}

TEST(CapacityPlan, HitShareIsMonotoneAndEndsAtOne) {
  const CapacityInput input = Small();
  EXPECT_EQ(HitShare(input, 0), 0);
  EXPECT_DOUBLE_EQ(HitShare(input, 0.05), 0.4);
  EXPECT_DOUBLE_EQ(HitShare(input, 0.1), 0.8);
  EXPECT_DOUBLE_EQ(HitShare(input, 0.55), 0.9);
  EXPECT_EQ(HitShare(input, 1), 1);
}

// Measured with `INFO memory` of Redis 7.0.15 over 200 values: 1.252, 1.172 and 1.047 bytes per byte.
TEST(CapacityPlan, RedisBytesFollowTheAllocatorsSizeClasses) {
  EXPECT_NEAR(static_cast<double>(RedisBytes(1048576)) / 1048576, 1.252, 0.003);
  EXPECT_NEAR(static_cast<double>(RedisBytes(393216)) / 393216, 1.172, 0.005);
  EXPECT_NEAR(static_cast<double>(RedisBytes(1000000)) / 1000000, 1.047, 0.003);
}

TEST(CapacityPlan, NamesTheFieldThatIsOutOfBounds) {
  const auto field_of = [](auto change) {
    CapacityInput input = Small();
    change(input);
    return FieldOf(PlanCapacity(input).status());
  };
  EXPECT_EQ(field_of([](CapacityInput& in) { in.prefill_tokens_per_second = 0; }),
            "prefill_tokens_per_second");
  EXPECT_EQ(field_of([](CapacityInput& in) { in.budget = 1.5; }), "budget");
  EXPECT_EQ(field_of([](CapacityInput& in) { in.hot_hits = 0.01; }), "hot_hits");
  EXPECT_EQ(field_of([](CapacityInput& in) { in.chunk_tokens = 0; }), "chunk_tokens");
  EXPECT_EQ(field_of([](CapacityInput& in) { in.num_documents = 2'000'000; }), "tokens");
  EXPECT_EQ(field_of([](CapacityInput& in) { in.utilisation = 0; }), "utilisation");
  EXPECT_EQ(field_of([](CapacityInput& in) { in.kv_shape.num_layers = 0; }), "shape.num_layers");
}

TEST(CapacityPlan, RefusesACorpusBeyondAnExabyte) {
  CapacityInput input = Small();
  input.kv_shape = {.num_layers = 512, .num_kv_heads = 128, .head_dim = 256, .dtype = KvDtype::kFp32};
  input.num_documents = 1;
  input.corpus_tokens = int64_t{1} << 40;
  input.chunk_tokens = 64;
  EXPECT_EQ(FieldOf(PlanCapacity(input).status()), "tokens");
}

}  // namespace
}  // namespace cacheclip
