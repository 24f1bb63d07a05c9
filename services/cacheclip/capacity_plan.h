// How much a deployment needs: from the shape of a model's KV, the size of a corpus and the traffic to bytes
// per tier, network bandwidth and replicas. `cacheclip plan` prints it; docs/operations.md explains the
// formulas.
//
//   CACHECLIP_ASSIGN_OR_RETURN(CapacityPlan plan, PlanCapacity(input));
//
// Pure functions on values; thread-safe. Averages, not a simulation: what a tier holds is taken to be what is
// used most, and traffic to be spread evenly over replicas.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kv/kv_shape.h"

namespace cacheclip {

struct CapacityInput {
  // The model. Weights take two bytes a parameter (bf16).
  KvShape kv_shape;
  int64_t num_parameters = 0;

  // The corpus. Chunks never cross a document's border, so many short documents make short chunks.
  int64_t num_documents = 0, corpus_tokens = 0;
  int64_t chunk_tokens = 512, prefix_tokens = 64;

  // The traffic, at its peak.
  double questions_per_second = 1;
  int64_t chunks_per_question = 8, question_tokens = 32, answer_tokens = 128;
  double budget = 0.2;     // share of chunk tokens recomputed
  double hot_share = 0.1;  // this share of the chunks …
  double hot_hits = 0.8;   // … gets this share of the look-ups

  // One replica's speed on its machine, measured or assumed. One request computes at a time.
  double prefill_tokens_per_second = 0;
  double decode_tokens_per_second = 0;  // 0: a tenth of prefill
  double selection_seconds = 0;         // 0: the question through three quarters of the model
  double utilisation = 0.6;             // share of a replica's time that is planned with
  int64_t spare_replicas = 1;           // of each kind, for restarts and failures
  double ingest_hours = 24;             // in which the whole corpus is to be encoded

  // What may be spent at most; 0 = the tier does not exist.
  int64_t max_memory_bytes = int64_t{32} << 30;  // per generation replica
  int64_t max_disk_bytes = int64_t{512} << 30;   // per generation replica
  int64_t max_redis_bytes = int64_t{256} << 30;  // maxmemory of all primaries together
  bool has_object_store = true;
  int64_t max_running_requests = 8;
};

struct TierNeed {
  std::string tier;   // "memory", "disk", "redis", "object"
  int64_t bytes = 0;  // to configure: per replica for memory and disk, altogether for redis and object
  double share_of_chunks = 0;
  double share_of_lookups = 0;  // served here, not by a faster tier
  double bytes_per_second = 0;  // read from it by all replicas together
};

struct CapacityPlan {
  int64_t bytes_per_token = 0, bytes_per_chunk = 0, slices_per_chunk = 0;
  int64_t num_chunks = 0, corpus_bytes = 0;
  std::vector<TierNeed> tiers;          // fastest first; those that exist
  double recomputed_lookups = 0;        // share no tier serves: encoded again each time
  double question_seconds = 0;          // of one replica's compute thread
  double first_token_seconds = 0;       // without queueing and loading
  double network_bytes_per_second = 0;  // KV over the network, all generation replicas together
  int64_t generation_replicas = 0, selector_replicas = 0, ingestion_replicas = 0;
  int64_t request_kv_bytes = 0;      // kv_bytes: KV of the requests that run at once
  int64_t generation_pod_bytes = 0;  // weights, memory tier, request KV, the program
  double selection_seconds = 0, decode_tokens_per_second = 0;  // given or assumed
};

// INVALID_ARGUMENT naming the field that is out of bounds; UNIMPLEMENTED for a KV dtype that cannot be
// stored.
absl::StatusOr<CapacityPlan> PlanCapacity(const CapacityInput& input);

// Share of look-ups served by a cache that holds the most used `share_of_chunks`: straight lines through (0,
// 0), (hot_share, hot_hits) and (1, 1).
double HitShare(const CapacityInput& input, double share_of_chunks);

// What Redis takes for a string of `value_bytes`: jemalloc's size class plus key and table entry. 1 MiB
// takes 1.25.
int64_t RedisBytes(int64_t value_bytes);

}  // namespace cacheclip
