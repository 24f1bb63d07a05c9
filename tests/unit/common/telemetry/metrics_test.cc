#include "common/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cacheclip {
namespace {

using testing::HasSubstr;
using testing::Not;

GenerationRecord Record() {
  GenerationRecord record;
  record.finish_reason = "stop";
  record.method = "primary_probe";
  record.prompt_tokens = 100;
  record.completion_tokens = 7;
  record.context_tokens = 80;
  record.recomputed_tokens = 16;
  record.num_chunks = 3;
  record.cached_tokens = {{"memory", 60}, {"disk", 20}};
  record.stage_durations = {{"queue", absl::Milliseconds(3)},
                            {"select", absl::Milliseconds(100)},
                            {"recompute", absl::Milliseconds(300)}};
  record.fallbacks = {{"selector", "selector_unavailable"}};
  record.load_decisions = {{"load", "in_memory", 2}, {"encode", "late", 1}};
  record.time_to_first_token = absl::Milliseconds(450);
  record.duration = absl::Seconds(1);
  return record;
}

TEST(Metrics, CountsAFinishedRequest) {
  Metrics metrics;
  metrics.RecordGeneration(Record());
  metrics.RecordGeneration(Record());
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("cacheclip_request_success_total{finished_reason=\"stop\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_request_methods_total{method=\"primary_probe\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_prompt_tokens_total 200\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_generation_tokens_total 14\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_recomputed_tokens_total 32\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_assembled_chunks_total 6\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_cached_prompt_tokens_total{tier=\"disk\"} 40\n"));
  EXPECT_THAT(text, HasSubstr("reason=\"selector_unavailable\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_load_decisions_total{decision=\"load\",reason=\"in_memory\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_load_decisions_total{decision=\"encode\",reason=\"late\"} 2\n"));
}

TEST(Metrics, MeasuresItsStagesInSeconds) {
  Metrics metrics;
  metrics.RecordGeneration(Record());
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("cacheclip_time_to_first_token_seconds_sum 0.45"));
  EXPECT_THAT(text, HasSubstr("cacheclip_e2e_request_latency_seconds_sum 1\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_request_queue_time_seconds_sum 0.003"));
  EXPECT_THAT(text, HasSubstr("cacheclip_request_prefill_time_seconds_sum 0.4"));
  EXPECT_THAT(text, HasSubstr("cacheclip_request_stage_seconds_count{stage=\"select\"} 1\n"));
}

TEST(Metrics, SpreadsEstimatedDivergenceWhereThereIsOne) {
  Metrics metrics;
  GenerationRecord record = Record();
  metrics.RecordGeneration(record);
  EXPECT_THAT(metrics.Text(), HasSubstr("cacheclip_estimated_divergence_nats_count 0\n"));
  record.estimated_divergence = 0;  // exact
  metrics.RecordGeneration(record);
  record.estimated_divergence = 0.25;
  metrics.RecordGeneration(record);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("cacheclip_estimated_divergence_nats_count 2\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_estimated_divergence_nats_sum 0.25\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_estimated_divergence_nats_bucket{le=\"0\"} 1\n"));
}

TEST(Metrics, CountsFailuresByReason) {
  Metrics metrics;
  metrics.RecordGenerationError("resource_exhausted");
  metrics.RecordSelectionError("deadline_exceeded");
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("cacheclip_request_failures_total{reason=\"resource_exhausted\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_selection_failures_total{reason=\"deadline_exceeded\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("request_success_total{")));
}

TEST(Metrics, CountsSelectionsDocumentsAndCalls) {
  Metrics metrics;
  metrics.RecordSelection({"auxiliary", 400, 80, absl::Milliseconds(4), absl::Milliseconds(20)});
  metrics.RecordIngest({"stored", 250, 2, 1, absl::Milliseconds(500)});
  metrics.RecordRpc("cacheclip.v1.GenerationService/Generate", "OK", absl::Milliseconds(30));
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("cacheclip_selections_total{method=\"auxiliary\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_selected_tokens_total 80\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_ingested_documents_total{outcome=\"stored\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_chunks_encoded_total 2\n"));
  EXPECT_THAT(text, HasSubstr("rpc=\"cacheclip.v1.GenerationService/Generate\"} 1\n"));
}

TEST(Metrics, ReadsGaugesAtEachScrape) {
  Metrics metrics;
  int64_t running = 1;
  metrics.SetLoadSource([&running] { return LoadGauges{running, 2, 50, 200}; });
  metrics.SetStoreSource(
      [] { return std::vector<StoreGauges>{{.tier = "disk", .hits = 5, .corrupt = 1, .bytes = 4096}}; });
  EXPECT_THAT(metrics.Text(), HasSubstr("cacheclip_num_requests_running 1\n"));
  running = 4;
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("cacheclip_num_requests_running 4\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_num_requests_waiting 2\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_kv_cache_usage_ratio 0.25\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_store_hits_total{tier=\"disk\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_store_checksum_failures_total{tier=\"disk\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_store_bytes{tier=\"disk\"} 4096\n"));
}

TEST(Metrics, ReadsTiersAndTheWriteBackQueueAtEachScrape) {
  Metrics metrics;
  int64_t queued = 3;
  metrics.SetStoreSource([] {
    StoreGauges redis{.tier = "redis"};
    redis.bytes = redis.objects = -1;
    redis.late_reads = 4;
    redis.promotions = 5;
    redis.bytes_read = 1000;
    redis.read_duration = absl::Milliseconds(250);
    return std::vector<StoreGauges>{redis};
  });
  metrics.SetWriteBackSource([&] { return WriteBackGauges{.queued_chunks = queued, .lost = 1}; });
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("cacheclip_store_hits_total{tier=\"redis\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("cacheclip_store_bytes{"))) << "not known is not 0";
  EXPECT_THAT(text, Not(HasSubstr("cacheclip_store_objects{")));
  EXPECT_THAT(text, HasSubstr("cacheclip_store_late_reads_total{tier=\"redis\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_store_promotions_total{tier=\"redis\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_store_read_bytes_total{tier=\"redis\"} 1000\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_store_read_seconds_total{tier=\"redis\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_write_back_queued_chunks 3\n"));
  EXPECT_THAT(text, HasSubstr("cacheclip_write_back_lost_total 1\n"));
  queued = 0;
  EXPECT_THAT(metrics.Text(), HasSubstr("cacheclip_write_back_queued_chunks 0\n"));
}

}  // namespace
}  // namespace cacheclip
