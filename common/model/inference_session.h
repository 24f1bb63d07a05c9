// One request's KV cache and the operations on it: place stored chunks, run rows through the model, decode.
// The cache is allocated once, for `capacity` tokens, and freed with the session.
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto session, InferenceSession::Create(model, prompt.size() +
//   max_new_tokens)); CACHECLIP_RETURN_IF_ERROR(session->Place(*prefix_chunk, 0, 0));            // assemble
//   CACHECLIP_RETURN_IF_ERROR(session->Place(*chunk, slot, position));
//   CACHECLIP_ASSIGN_OR_RETURN(logits, session->Run(SelectiveRows(prompt, set.indices)));  // recompute +
//   question CACHECLIP_ASSIGN_OR_RETURN(logits, session->Decode(token));                // one more token
//
// A session belongs to one thread at a time. Every long call takes a cancellation token and checks it at each
// layer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/kv/encoded_chunk.h"
#include "common/model/attention_heads.h"
#include "common/model/language_model.h"
#include "common/model/prompt_tokens.h"

namespace cacheclip {

class KvCache;  // kv_cache.h, for common/model only

using Logits = std::vector<float>;  // [vocab_size]

struct RunOptions {
  // If set, called ahead of each layer (e.g. to place that layer's stored KV).
  std::function<absl::Status(int layer)> before_layer;
  // The first so many rows, not all of them, run through layers 0 … shallow_layers - 1 only; what the cache
  // holds of them in the other layers stays.
  int32_t num_shallow_rows = 0;
  int shallow_layers = 0;
  // Tokens whose stored KV is moved, ahead of each of those layers' attention, by this share of what
  // computing the shallow rows anew changed in tokens like them (stale_shift.h; docs/adr/0020). Ascending
  // slots, each its token's position.
  std::vector<int32_t> stale_slots;
  double stale_shift = 0;
  const LocalHeads* local_heads = nullptr;  // if set, of the shallow rows
  bool int8_scores = false;                 // queries and keys may be multiplied in int8 (docs/adr/0026)
};

struct ChunkPlace {
  const EncodedChunk* chunk;
  int32_t first_slot, first_position;
};

class InferenceSession {
 public:
  // RESOURCE_EXHAUSTED when memory for the cache cannot be had.
  static absl::StatusOr<std::unique_ptr<InferenceSession>> Create(std::shared_ptr<const LanguageModel> model,
                                                                  int32_t capacity);
  ~InferenceSession();

  // Bytes a session of this capacity takes: what admission reserves.
  static int64_t CacheBytes(const LanguageModel& model, int32_t capacity);

  // Lays a chunk's stored KV at slots first_slot …, its keys rotated to positions first_position …: all
  // layers of the loaded model. INVALID_ARGUMENT if the shapes differ or it does not fit.
  absl::Status Place(const EncodedChunk& chunk, int32_t first_slot, int32_t first_position);
  // Layers [first_layer, last_layer) of several, none if one of them is refused: the threads are woken once.
  absl::Status PlaceLayers(std::span<const ChunkPlace> places, int first_layer, int last_layer);

  // Of all rows from now on: see KvCache::SetAttentionWeights(). Slots within the capacity, weights above 0.
  void SetAttentionWeights(int32_t first_slot, std::span<const float> weights);

  // Runs `rows` through all layers, writing their fresh KV, and returns the logits of the last row.
  absl::StatusOr<Logits> Run(const Rows& rows, const CancellationToken& cancellation = CancellationToken(),
                             const RunOptions& options = {});

  // The same, with the logits of every row from `first_row` on: teacher forcing.
  absl::StatusOr<std::vector<Logits>> RunAllLogits(
      const Rows& rows, int32_t first_row, const CancellationToken& cancellation = CancellationToken());

  // Appends one token behind the highest slot written and returns its logits.
  absl::StatusOr<Logits> Decode(int32_t id, const CancellationToken& cancellation = CancellationToken());

  // INVALID_ARGUMENT if `rows` are empty, name an id outside the vocabulary, or slots that do not ascend or
  // do not fit. Run and RunAllLogits check themselves; what drives a ForwardPass over cache() asks first.
  absl::Status CheckRows(const Rows& rows) const;

  int32_t capacity() const;
  int32_t length() const { return length_; }  // highest slot written by Run or Decode, plus one
  const LanguageModel& model() const { return *model_; }
  KvCache& cache() { return *cache_; }  // for common/model only

 private:
  InferenceSession(std::shared_ptr<const LanguageModel> model, std::unique_ptr<KvCache> cache);
  absl::Status CheckPlace(const ChunkPlace& place, int first_layer, int last_layer) const;

  std::shared_ptr<const LanguageModel> model_;
  std::unique_ptr<KvCache> cache_;
  int32_t length_ = 0;
};

}  // namespace cacheclip
