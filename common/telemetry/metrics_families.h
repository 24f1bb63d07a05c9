// The named members behind Metrics: one per metric, registered once with help text and buckets. Internal to
// common/telemetry. Thread-safe after construction.
#pragma once

#include <string>
#include <string_view>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace cacheclip {

inline constexpr std::string_view kMetricPrefix = "cacheclip_";

struct MetricsFamilies {
  explicit MetricsFamilies(prometheus::Registry& registry);

  using CounterFamily = prometheus::Family<prometheus::Counter>;
  using HistogramFamily = prometheus::Family<prometheus::Histogram>;

  // Requests.
  CounterFamily& request_success;   // {finished_reason}
  CounterFamily& request_failures;  // {reason}
  CounterFamily& request_methods;   // {method}
  CounterFamily& fallbacks;         // {component, reason}
  CounterFamily& load_decisions;    // {decision, reason}
  prometheus::Counter& prompt_tokens;
  prometheus::Counter& generation_tokens;
  prometheus::Counter& context_tokens;
  prometheus::Counter& recomputed_tokens;
  prometheus::Counter& reencoded_tokens;
  prometheus::Counter& assembled_chunks;
  CounterFamily& cached_tokens;  // {tier}
  prometheus::Histogram& estimated_divergence;
  prometheus::Histogram& time_to_first_token;
  prometheus::Histogram& inter_token_latency;
  prometheus::Histogram& request_latency;
  prometheus::Histogram& queue_time;
  prometheus::Histogram& prefill_time;
  HistogramFamily& stage_time;  // {stage}

  // Selection.
  CounterFamily& selections;          // {method}
  CounterFamily& selection_failures;  // {reason}
  prometheus::Counter& selection_context_tokens;
  prometheus::Counter& selected_tokens;
  prometheus::Histogram& selection_load_time;
  prometheus::Histogram& selection_score_time;

  // Ingestion.
  CounterFamily& documents;  // {outcome}
  prometheus::Counter& ingested_tokens;
  prometheus::Counter& chunks_encoded;
  prometheus::Counter& chunks_reused;
  prometheus::Histogram& document_time;

  // Calls.
  CounterFamily& rpc_calls;   // {rpc, code}
  HistogramFamily& rpc_time;  // {rpc}
};

// In nats per token: from an answer that is full prefill's to one that is another.
prometheus::Histogram::BucketBoundaries DivergenceBuckets();

// From a millisecond to minutes, factors of about two.
prometheus::Histogram::BucketBoundaries LatencyBuckets();

}  // namespace cacheclip
