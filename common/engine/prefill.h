// Executes a RecomputePlan: allocates the request's KV cache, lays the stored KV into it, scores where the
// plan says so, and runs recomputed tokens and question in one fused pass. What comes out is ready to decode.
// Runs on the compute thread (inside one task of the executor) and checks `cancellation` at each layer; an
// error frees everything. Pure but for the clock: nothing is kept between calls.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
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
#include "common/telemetry/stage.h"

namespace cacheclip {

struct PrefillInput {
  std::shared_ptr<const LanguageModel> model;
  const PromptTokens& prompt;
  const RecomputePlan& plan;                                // its selector, if any, has answered
  std::shared_ptr<const EncodedChunk> prefix;               // null if the prefix is empty
  std::vector<std::shared_ptr<const EncodedChunk>> chunks;  // in request order; empty for a full prefill
  int32_t capacity = 0;                                     // tokens of prompt and answer
  LayerBand probe_band;                                     // empty: DefaultScoringBand
};

struct PrefillOutput {
  std::unique_ptr<InferenceSession> session;
  Logits logits;                              // of the prompt's last token
  std::vector<int32_t> recomputed_indices;    // [num_recomputed], sorted
  std::map<Stage, absl::Duration> durations;  // kAssemble, kSelect (if it scored), kRecompute
};

absl::StatusOr<PrefillOutput> Prefill(const PrefillInput& input, const Clock& clock,
                                      const CancellationToken& cancellation);

}  // namespace cacheclip
