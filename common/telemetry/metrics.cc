#include "common/telemetry/metrics.h"

#include <utility>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "common/telemetry/metrics_families.h"
#include "common/telemetry/metrics_impl.h"

namespace cacheclip {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Family(std::string_view stem, const char* help, MetricType type) {
  return {std::string(kMetricPrefix).append(stem), help, type, {}};
}

void AddSample(MetricFamily& family, const std::string& tier, double value) {
  ClientMetric metric;
  if (!tier.empty()) metric.label = {{"tier", tier}};
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(std::move(metric));
}

MetricFamily Gauge(std::string_view stem, const char* help, double value) {
  MetricFamily family = Family(stem, help, MetricType::Gauge);
  AddSample(family, "", value);
  return family;
}

double Seconds(absl::Duration duration) { return absl::ToDoubleSeconds(duration); }

std::vector<MetricFamily> LoadFamilies(const LoadGauges& load) {
  const double usage = load.max_kv_bytes > 0 ? double(load.kv_bytes_reserved) / load.max_kv_bytes : 0;
  return {Gauge("num_requests_running", "Requests admitted", load.requests_running),
          Gauge("num_requests_waiting", "Requests waiting for admission", load.requests_waiting),
          Gauge("kv_cache_reserved_bytes", "KV bytes reserved by admitted requests", load.kv_bytes_reserved),
          Gauge("kv_cache_usage_ratio", "Reserved KV bytes over their bound", usage)};
}

std::vector<MetricFamily> StoreFamilies(const std::vector<StoreGauges>& tiers) {
  struct Row {
    std::string_view stem;
    const char* help;
    MetricType type;
    int64_t StoreGauges::*value;
  };
  static constexpr Row kRows[] = {
      {"store_hits_total", "Chunk look-ups that found it", MetricType::Counter, &StoreGauges::hits},
      {"store_misses_total", "Chunk look-ups that did not", MetricType::Counter, &StoreGauges::misses},
      {"store_puts_total", "Chunks added", MetricType::Counter, &StoreGauges::puts},
      {"store_evictions_total", "Chunks evicted", MetricType::Counter, &StoreGauges::evictions},
      {"store_checksum_failures_total", "Damaged chunks, deleted when found", MetricType::Counter,
       &StoreGauges::corrupt},
      {"store_rejected_puts_total", "Chunks that could not be stored", MetricType::Counter,
       &StoreGauges::rejected_puts},
      {"store_failed_reads_total", "Reads that were neither hit nor miss", MetricType::Counter,
       &StoreGauges::failed_reads},
      {"store_late_reads_total", "Reads that were given up because of their deadline", MetricType::Counter,
       &StoreGauges::late_reads},
      {"store_skipped_reads_total", "Reads that left the tier alone after failures", MetricType::Counter,
       &StoreGauges::skipped_reads},
      {"store_failed_puts_total", "Puts that the tier refused or missed", MetricType::Counter,
       &StoreGauges::failed_puts},
      {"store_promotions_total", "Chunks copied into this tier because they were used", MetricType::Counter,
       &StoreGauges::promotions},
      {"store_read_bytes_total", "Bytes of chunks read", MetricType::Counter, &StoreGauges::bytes_read},
      {"store_bytes", "Bytes held", MetricType::Gauge, &StoreGauges::bytes},
      {"store_objects", "Chunks held", MetricType::Gauge, &StoreGauges::objects},
  };
  std::vector<MetricFamily> families;
  for (const Row& row : kRows) {
    families.push_back(Family(row.stem, row.help, row.type));
    for (const StoreGauges& tier : tiers)
      if (tier.*row.value >= 0) AddSample(families.back(), tier.tier, tier.*row.value);
  }
  families.push_back(Family("store_read_seconds_total", "Time spent on hits", MetricType::Counter));
  for (const StoreGauges& tier : tiers) AddSample(families.back(), tier.tier, Seconds(tier.read_duration));
  families.push_back(Family("store_miss_seconds_total", "Time spent on misses", MetricType::Counter));
  for (const StoreGauges& tier : tiers) AddSample(families.back(), tier.tier, Seconds(tier.miss_duration));
  return families;
}

std::vector<MetricFamily> WriteBackFamilies(const WriteBackGauges& queue) {
  const auto family = [](std::string_view stem, const char* help, MetricType type, int64_t value) {
    MetricFamily result = Family(stem, help, type);
    AddSample(result, "", static_cast<double>(value));
    return result;
  };
  return {
      family("write_back_queued_bytes", "Bytes that wait to be written back", MetricType::Gauge,
             queue.queued_bytes),
      family("write_back_queued_chunks", "Chunks that wait to be written back", MetricType::Gauge,
             queue.queued_chunks),
      family("write_back_written_total", "Chunks written back", MetricType::Counter, queue.written),
      family("write_back_retries_total", "Writes that have to be tried again", MetricType::Counter,
             queue.retries),
      family("write_back_lost_total", "Chunks gone before they were written", MetricType::Counter,
             queue.lost),
      family("write_back_refused_total", "Chunks written through because the queue was full",
             MetricType::Counter, queue.refused),
  };
}

}  // namespace

std::vector<MetricFamily> Metrics::Impl::Collect() const {
  std::vector<MetricFamily> families = registry.Collect();
  auto append = [&families](std::vector<MetricFamily> more) {
    for (MetricFamily& family : more) families.push_back(std::move(family));
  };
  std::function<LoadGauges()> load;
  std::function<std::vector<StoreGauges>()> store;
  std::function<WriteBackGauges()> write_back;
  {
    std::lock_guard lock(mutex);
    load = load_source;
    store = store_source;
    write_back = write_back_source;
  }
  if (load) append(LoadFamilies(load()));
  if (store) append(StoreFamilies(store()));
  if (write_back) append(WriteBackFamilies(write_back()));
  return families;
}

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::RecordGeneration(const GenerationRecord& record) {
  MetricsFamilies& to = impl_->families;
  to.request_success.Add({{"finished_reason", record.finish_reason}}).Increment();
  to.request_methods.Add({{"method", record.method}}).Increment();
  for (const FallbackCount& fallback : record.fallbacks)
    to.fallbacks.Add({{"component", fallback.component}, {"reason", fallback.reason}}).Increment();
  for (const LoadDecisionCount& counted : record.load_decisions)
    to.load_decisions.Add({{"decision", counted.decision}, {"reason", counted.reason}})
        .Increment(counted.num_chunks);
  to.prompt_tokens.Increment(record.prompt_tokens);
  to.generation_tokens.Increment(record.completion_tokens);
  to.context_tokens.Increment(record.context_tokens);
  to.recomputed_tokens.Increment(record.recomputed_tokens);
  to.reencoded_tokens.Increment(record.reencoded_tokens);
  to.assembled_chunks.Increment(record.num_chunks);
  for (const auto& [tier, tokens] : record.cached_tokens)
    to.cached_tokens.Add({{"tier", tier}}).Increment(tokens);
  if (record.estimated_divergence.has_value()) to.estimated_divergence.Observe(*record.estimated_divergence);
  to.time_to_first_token.Observe(Seconds(record.time_to_first_token));
  to.request_latency.Observe(Seconds(record.duration));
  absl::Duration prefill;
  for (const auto& [stage, duration] : record.stage_durations) {
    to.stage_time.Add({{"stage", stage}}, LatencyBuckets()).Observe(Seconds(duration));
    if (stage == "queue") to.queue_time.Observe(Seconds(duration));
    if (stage == "select" || stage == "assemble" || stage == "recompute") prefill += duration;
  }
  to.prefill_time.Observe(Seconds(prefill));
}

void Metrics::RecordGenerationError(std::string_view reason) {
  impl_->families.request_failures.Add({{"reason", std::string(reason)}}).Increment();
}

void Metrics::RecordTokenInterval(absl::Duration interval) {
  impl_->families.inter_token_latency.Observe(Seconds(interval));
}

void Metrics::RecordSelection(const SelectionRecord& record) {
  MetricsFamilies& to = impl_->families;
  to.selections.Add({{"method", record.method}}).Increment();
  to.selection_context_tokens.Increment(record.context_tokens);
  to.selected_tokens.Increment(record.selected_tokens);
  to.selection_load_time.Observe(Seconds(record.load_duration));
  to.selection_score_time.Observe(Seconds(record.score_duration));
}

void Metrics::RecordSelectionError(std::string_view reason) {
  impl_->families.selection_failures.Add({{"reason", std::string(reason)}}).Increment();
}

void Metrics::RecordIngest(const IngestRecord& record) {
  MetricsFamilies& to = impl_->families;
  to.documents.Add({{"outcome", record.outcome}}).Increment();
  to.ingested_tokens.Increment(record.num_tokens);
  to.chunks_encoded.Increment(record.chunks_encoded);
  to.chunks_reused.Increment(record.chunks_reused);
  to.document_time.Observe(Seconds(record.duration));
}

void Metrics::RecordRpc(std::string_view method, std::string_view code, absl::Duration duration) {
  MetricsFamilies& to = impl_->families;
  to.rpc_calls.Add({{"rpc", std::string(method)}, {"code", std::string(code)}}).Increment();
  to.rpc_time.Add({{"rpc", std::string(method)}}, LatencyBuckets()).Observe(Seconds(duration));
}

void Metrics::SetLoadSource(std::function<LoadGauges()> source) {
  std::lock_guard lock(impl_->mutex);
  impl_->load_source = std::move(source);
}

void Metrics::SetStoreSource(std::function<std::vector<StoreGauges>()> source) {
  std::lock_guard lock(impl_->mutex);
  impl_->store_source = std::move(source);
}

void Metrics::SetWriteBackSource(std::function<WriteBackGauges()> source) {
  std::lock_guard lock(impl_->mutex);
  impl_->write_back_source = std::move(source);
}

std::string Metrics::Text() const { return prometheus::TextSerializer().Serialize(impl_->Collect()); }

}  // namespace cacheclip
