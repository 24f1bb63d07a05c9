#include "common/telemetry/metrics_families.h"

namespace cacheclip {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildHistogram;
using prometheus::Registry;

std::string Named(std::string_view stem) { return std::string(kMetricPrefix).append(stem); }

MetricsFamilies::CounterFamily& Counters(Registry& registry, std::string_view stem, const char* help) {
  return BuildCounter().Name(Named(stem)).Help(help).Register(registry);
}

prometheus::Counter& Counter(Registry& registry, std::string_view stem, const char* help) {
  return Counters(registry, stem, help).Add({});
}

MetricsFamilies::HistogramFamily& Histograms(Registry& registry, std::string_view stem, const char* help) {
  return BuildHistogram().Name(Named(stem)).Help(help).Register(registry);
}

prometheus::Histogram& Histogram(Registry& registry, std::string_view stem, const char* help,
                                 const prometheus::Histogram::BucketBoundaries& buckets = LatencyBuckets()) {
  return Histograms(registry, stem, help).Add({}, buckets);
}

}  // namespace

prometheus::Histogram::BucketBoundaries DivergenceBuckets() {
  return {0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};
}

prometheus::Histogram::BucketBoundaries LatencyBuckets() {
  return {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120};
}

MetricsFamilies::MetricsFamilies(Registry& r)
    : request_success(Counters(r, "request_success_total", "Generation requests that finished, by reason")),
      request_failures(Counters(r, "request_failures_total", "Generation requests that failed, by reason")),
      request_methods(Counters(r, "request_methods_total", "Generation requests by the method that ran")),
      fallbacks(Counters(r, "fallbacks_total", "What went on without a part, by component and reason")),
      load_decisions(Counters(r, "load_decisions_total",
                              "Chunks loaded, encoded anew or prefilled in full, by decision and reason")),
      prompt_tokens(Counter(r, "prompt_tokens_total", "Prompt tokens of finished requests")),
      generation_tokens(Counter(r, "generation_tokens_total", "Tokens generated")),
      context_tokens(Counter(r, "context_tokens_total", "Chunk tokens in prompts")),
      recomputed_tokens(Counter(r, "recomputed_tokens_total", "Chunk tokens computed fresh in context")),
      reencoded_tokens(
          Counter(r, "reencoded_tokens_total", "Chunk tokens encoded anew because no tier had them")),
      assembled_chunks(Counter(r, "assembled_chunks_total", "Chunks laid into prompts")),
      cached_tokens(Counters(r, "cached_prompt_tokens_total", "Prompt tokens served from a cache, by tier")),
      estimated_divergence(Histogram(r, "estimated_divergence_nats",
                                     "Estimated nats per token from full prefill's answer",
                                     DivergenceBuckets())),
      time_to_first_token(Histogram(r, "time_to_first_token_seconds", "Arrival to first token")),
      inter_token_latency(Histogram(r, "inter_token_latency_seconds", "Between two streamed tokens")),
      request_latency(Histogram(r, "e2e_request_latency_seconds", "Arrival to last token")),
      queue_time(
          Histogram(r, "request_queue_time_seconds", "Waiting for admission and for the compute thread")),
      prefill_time(Histogram(r, "request_prefill_time_seconds", "Select, assemble, recompute and question")),
      stage_time(Histograms(r, "request_stage_seconds", "Time per pipeline stage")),
      selections(Counters(r, "selections_total", "Selections answered, by method")),
      selection_failures(Counters(r, "selection_failures_total", "Selections that failed, by reason")),
      selection_context_tokens(Counter(r, "selection_context_tokens_total", "Chunk tokens scored")),
      selected_tokens(Counter(r, "selected_tokens_total", "Chunk tokens chosen for recomputation")),
      selection_load_time(Histogram(r, "selection_load_seconds", "Loading the auxiliary's stored KV")),
      selection_score_time(Histogram(r, "selection_score_seconds", "Scoring the question over it")),
      documents(Counters(r, "ingested_documents_total", "Documents handled, by outcome")),
      ingested_tokens(Counter(r, "ingested_tokens_total", "Chunk tokens of stored documents")),
      chunks_encoded(Counter(r, "chunks_encoded_total", "Chunks whose KV ingestion computed")),
      chunks_reused(Counter(r, "chunks_reused_total", "Chunks whose KV was stored already")),
      document_time(Histogram(r, "document_ingest_seconds", "Time per ingested document")),
      rpc_calls(Counters(r, "rpc_calls_total", "Finished calls, by RPC and status code")),
      rpc_time(Histograms(r, "rpc_seconds", "Time per call, streams to their end")) {}

}  // namespace cacheclip
