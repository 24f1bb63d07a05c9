// Executes a RecomputePlan: allocates the request's KV cache, lays the stored KV into it, scores where the
// plan says so, and runs recomputed tokens and question in one fused pass. What comes out is ready to decode.
// Chunks may still be arriving: layer l is laid down when the pass comes to it, while l + 1 is under way;
// what scores tokens first waits for the layers it looks at. Runs on the compute thread (inside one task of
// the executor) and checks `cancellation` at each layer; an error frees everything. Pure but for the clock:
// nothing is kept between calls.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/engine/planner.h"
#include "common/kv/encoded_chunk.h"
#include "common/model/inference_session.h"
#include "common/model/language_model.h"
#include "common/model/prompt_tokens.h"
#include "common/model/scoring/scoring.h"
#include "common/store/chunk_arrival.h"
#include "common/telemetry/stage.h"
#include "common/text/sentence_breaks.h"

namespace cacheclip {

struct TokenChoice {
  std::vector<int32_t> indices;            // sorted, relative to the first chunk token
  std::optional<double> stale_mass_share;  // of the scores they were chosen by; see divergence.h
};

struct PrefillInput {
  std::shared_ptr<const LanguageModel> model;
  const PromptTokens& prompt;
  const RecomputePlan& plan;                                // its selector, if any, has answered
  std::shared_ptr<const EncodedChunk> prefix;               // null if the prefix is empty
  std::vector<std::shared_ptr<const EncodedChunk>> chunks;  // in request order; empty for a full prefill
  std::vector<std::shared_ptr<ChunkArrival>> arrivals;      // empty, or per chunk; null: complete
  std::function<absl::Time()> layer_deadline;  // until when to wait for a layer; asked again while waiting
  int layers_awaited = 1;                      // of arriving chunks, before anything is computed
  int32_t capacity = 0;                        // tokens of prompt and answer
  bool repositions = true;  // false: chunks keep the positions behind the prefix at which they were encoded,
                            // to measure what moving them is worth
  ScoringHeads probe;       // whose attention the probe looks at
  LocalHeads local_heads;   // may be none
  const SentenceBreaks* sentences = nullptr;  // for groupings that NeedsSegments()
  // If set, chooses over the assembled cache in place of what the plan's step says: for evaluations.
  std::function<absl::StatusOr<TokenChoice>(InferenceSession&, const CancellationToken&)> choose;
};

struct PrefillOutput {
  std::unique_ptr<InferenceSession> session;
  Logits logits;                              // of the prompt's last token
  std::vector<int32_t> recomputed_indices;    // [num_recomputed], sorted
  std::optional<double> stale_mass_share;     // as TokenChoice has it
  std::map<Stage, absl::Duration> durations;  // kLoad (waiting for layers), kAssemble, kSelect (if it
                                              // scored), kRecompute
};

// What `options` choose by these scores ([context tokens]), at sentences where the grouping goes by them.
absl::StatusOr<RecomputeSet> SelectByScores(const PrefillInput& input, std::span<const float> scores,
                                            const SelectionOptions& options);

// How many layers of the chunks have to be there before this plan can score; at least `layers_awaited`.
int LayersBeforeScoring(const PrefillInput& input);

// Waits until layers 0 … `layer` of an arriving chunk are there. ABORTED: late or failed; the chunk has to be
// had otherwise.
absl::Status WaitForLayer(const ChunkArrival& arrival, int layer, const std::function<absl::Time()>& deadline,
                          const Clock& clock, const CancellationToken& cancellation);

// ABORTED: a layer of an arriving chunk did not come.
absl::StatusOr<PrefillOutput> Prefill(const PrefillInput& input, const Clock& clock,
                                      const CancellationToken& cancellation);

}  // namespace cacheclip
