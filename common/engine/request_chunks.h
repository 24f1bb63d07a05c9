// The stored KV of one request's prefix and chunks, from asking for it to having it: starts the loads that
// are worth it (common/engine/load_planner.h), waits no longer than the bound allows, encodes anew what is
// missing, damaged or late, and keeps the account. When full prefill would be faster than what is left to
// encode, it says so.
//
//   chunks.Start();                                              // returns at once; memory hits are there
//   CACHECLIP_ASSIGN_OR_RETURN(bool usable, chunks.Collect());           // false: prefill in full
//   … Prefill() with chunks.kv() and chunks.arrivals(), which may still be coming in …
//   CACHECLIP_ASSIGN_OR_RETURN(bool usable, chunks.Repair());    // after a layer came too late: then once
//   more chunks.Report(usage);
//
// One object per request, used by its thread. Computes on the executor: never call it from inside a task.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/engine/chunk_loader.h"
#include "common/engine/chunk_source.h"
#include "common/engine/compute_speed.h"
#include "common/engine/generate_request.h"
#include "common/engine/load_planner.h"
#include "common/engine/prompt_builder.h"
#include "common/engine/tier_speed.h"
#include "common/store/background_queue.h"

namespace cacheclip {

// What the requests of an engine share. Owned by the engine.
struct LoadMachinery {
  ChunkLoader* loader = nullptr;
  ComputeSpeed* compute_speed = nullptr;
  std::shared_ptr<TierSpeed> tier_speed;  // shared with arrivals, which may outlive the engine
  BackgroundQueue* put_backs = nullptr;
  absl::Duration load_timeout = absl::Seconds(10);
};

class RequestChunks {
 public:
  // A local tier is given this long even where computing would take less: a busy machine is not a slow disk.
  static constexpr absl::Duration kLocalPatience = absl::Seconds(1);

  // `costs`: as far as known. Everything referred to must outlive the object.
  RequestChunks(const LoadMachinery& machinery, const Runtime& runtime, const PreparedPrompt& prompt,
                ComputeCosts costs, PutBack put_back, const CancellationToken& cancellation);
  ~RequestChunks();  // abandons what is still coming in

  void Start();
  absl::StatusOr<bool> Collect();  // false: prefill in full
  absl::StatusOr<bool> Repair();

  std::vector<std::shared_ptr<const EncodedChunk>> kv() const {
    return {kv_.begin(), kv_.begin() + prefix_index()};
  }
  // Per chunk; null: complete.
  std::vector<std::shared_ptr<ChunkArrival>> arrivals() const {
    return {arrivals_.begin(), arrivals_.begin() + prefix_index()};
  }
  // Null for an empty prefix.
  const std::shared_ptr<const EncodedChunk>& prefix_kv() const { return prefix_kv_; }
  bool has_arrivals() const;
  // Until when a layer may be waited for now.
  absl::Time LayerDeadline() const;
  // How long the selector may take now, so that the bound holds without it. While chunks are awaited from a
  // remote tier, which may well be what it waits for too, no longer than for them; else kLocalPatience at
  // least.
  absl::Duration SelectorPatience() const;
  // What is expected to pass until everything has arrived.
  absl::Duration RemainingLoad() const;

  // Waits a moment for puts that run, so that their failure is reported too.
  void Report(Usage& usage);

 private:
  struct Entry {  // what became of a chunk
    std::string decision, reason;
    Tier tier = Tier::kComputed;
    bool is_missing = false;
  };
  class TierBatch;
  struct PutBackState;

  // Behind the chunks stands the prefix, unless it is known already.
  ptrdiff_t prefix_index() const { return static_cast<ptrdiff_t>(prompt_.chunks.size()); }
  double EncodeOperations(const ResolvedChunk& chunk) const;
  int64_t StoredBytes(const ResolvedChunk& chunk) const;
  absl::Status WaitForLoads();
  void TakeOutcomes();
  void Miss(size_t index, std::string_view reason);
  void ObserveLate(const std::map<Tier, int64_t>& late_bytes);
  absl::StatusOr<bool> EncodeMissing();
  absl::Status Encode(size_t index);
  void StartPutBack(size_t index);
  std::vector<bool> Missing() const;
  std::vector<bool> NotArrived() const;
  absl::Time Now() const { return runtime_.clock->Now(); }

  const LoadMachinery& machinery_;
  const Runtime& runtime_;
  const PreparedPrompt& prompt_;
  std::vector<ResolvedChunk> chunks_;  // what is loaded: the prompt's, then perhaps the prefix
  ComputeCosts costs_;
  const PutBack put_back_;
  const CancellationToken& cancellation_;
  absl::Time begin_;
  std::vector<ChunkLoadPlan> plans_;
  std::vector<Entry> entries_;
  std::vector<std::shared_ptr<const EncodedChunk>> kv_;
  std::shared_ptr<const EncodedChunk> prefix_kv_;
  std::vector<std::shared_ptr<ChunkArrival>> arrivals_;
  std::shared_ptr<ChunkLoads> loads_;
  std::map<Tier, std::weak_ptr<TierBatch>> batches_;
  std::vector<Fallback> fallbacks_;
  absl::Duration load_duration_, encode_duration_;
  std::shared_ptr<PutBackState> put_back_state_;
};

}  // namespace cacheclip
