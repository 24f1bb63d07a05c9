// Every metric of the project, by name: records come in, Prometheus text goes out (docs/api.md lists the
// names). Seconds and bytes in names, counters end in _total, a reason on every failure, no tenant or request
// name as label. The other layers know these plain records only; prometheus-cpp stays in metrics.cc.
// Thread-safe. One object per process; it must outlive whoever records.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace cacheclip {

struct FallbackCount {
  std::string component, reason;
};

// Chunks of a request that were loaded, encoded anew or prefilled in full, and why.
struct LoadDecisionCount {
  std::string decision, reason;
  int64_t num_chunks = 0;
};

// One finished generation request.
struct GenerationRecord {
  std::string finish_reason;  // "stop", "length", …
  std::string method;         // what ran
  int64_t prompt_tokens = 0, completion_tokens = 0;
  int64_t context_tokens = 0, recomputed_tokens = 0, reencoded_tokens = 0;
  int64_t num_chunks = 0;
  std::map<std::string, int64_t> cached_tokens;           // by tier
  std::map<std::string, absl::Duration> stage_durations;  // by stage
  std::vector<FallbackCount> fallbacks;
  std::vector<LoadDecisionCount> load_decisions;
  std::optional<double> estimated_divergence;  // nats per token; not where nobody scored
  absl::Duration time_to_first_token, duration;
};

// One answered selection.
struct SelectionRecord {
  std::string method;
  int64_t context_tokens = 0, selected_tokens = 0;
  absl::Duration load_duration, score_duration;
};

// One ingested document.
struct IngestRecord {
  std::string outcome;  // "stored", "unchanged", or a failure's code in snake_case
  int64_t num_tokens = 0, chunks_encoded = 0, chunks_reused = 0;
  absl::Duration duration;
};

// Read at each scrape.
struct LoadGauges {
  int64_t requests_running = 0, requests_waiting = 0, kv_bytes_reserved = 0, max_kv_bytes = 0;
};
struct StoreGauges {
  std::string tier;  // "memory", "disk", …
  int64_t hits = 0, misses = 0, puts = 0, evictions = 0, corrupt = 0, rejected_puts = 0;  // since start
  int64_t bytes = 0, objects = 0;  // now; negative = not known, no sample rather than a wrong one
  // What a stack of tiers noted about reading from this one, since start.
  int64_t failed_reads = 0, late_reads = 0, skipped_reads = 0, failed_puts = 0, promotions = 0,
          bytes_read = 0;
  absl::Duration read_duration, miss_duration;
};
struct WriteBackGauges {
  int64_t queued_bytes = 0, queued_chunks = 0;              // now
  int64_t written = 0, retries = 0, lost = 0, refused = 0;  // since start
};

class Metrics {
 public:
  Metrics();
  ~Metrics();

  void RecordGeneration(const GenerationRecord& record);
  void RecordGenerationError(std::string_view reason);  // code in snake_case: "invalid_argument"
  void RecordTokenInterval(absl::Duration interval);    // between two streamed tokens
  void RecordSelection(const SelectionRecord& record);
  void RecordSelectionError(std::string_view reason);
  void RecordIngest(const IngestRecord& record);
  void RecordRpc(std::string_view method, std::string_view code, absl::Duration duration);

  // Asked at each scrape, in order; must be thread-safe and quick, and outlive this object.
  void SetLoadSource(std::function<LoadGauges()> source);
  void SetStoreSource(std::function<std::vector<StoreGauges>()> source);
  void SetWriteBackSource(std::function<WriteBackGauges()> source);

  std::string Text() const;  // Prometheus text format 0.0.4

 private:
  friend class MetricsEndpoint;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cacheclip
