// Scores: how important is each context token for this question? Every scorer returns one number per context
// token, higher = recompute first; nothing else in the system knows how it was made (common/select turns
// scores into a set). A scorer runs on the compute thread and belongs to one request. Adding one: a function
// here or in a header beside it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/kv/encoded_chunk.h"
#include "common/model/attention_heads.h"
#include "common/model/inference_session.h"
#include "common/model/language_model.h"
#include "common/model/prompt_tokens.h"

namespace cacheclip {

struct LayerBand {
  int begin = 0, end = 0;  // half open
};

// The band whose attention finds the tokens that matter in most models: [L/2, 3L/4) (docs/evaluation.md).
LayerBand DefaultScoringBand(int num_layers);

enum class HeadPooling { kMean, kMax };  // over heads (then over question rows, then mean over layers)
// Over question rows; kLater: row i of n weighs i + 1. By its maximum a token counts that one word of the
// question looks at, however many others do not.
enum class RowPooling { kMean, kLater, kMax };

// Whose attention counts.
struct ScoringHeads {
  LayerBand band;             // empty: DefaultScoringBand of the full model, cut to the layers loaded
  std::vector<HeadId> heads;  // if not empty, only these (layer, head) pairs count and `band` is ignored
  HeadPooling pooling = HeadPooling::kMean;
  RowPooling rows = RowPooling::kMax;
};

// The layers that a scorer has to run for `heads`. INVALID_ARGUMENT for layers or heads that are not there.
absl::StatusOr<LayerBand> ResolveBand(const LanguageModel& model, const ScoringHeads& heads);

// What one head alone would say.
struct HeadScores {
  HeadId id;
  std::vector<float> scores;  // [context tokens], mean over question rows
};

// The question's rows over the assembled stale cache of `session` (prefix and chunks placed, slot =
// position): attention mass on each context token, pooled over question rows, heads and their layers. Writes
// the question's KV behind the context, which the fused pass overwrites. Result: [prompt.context_size()].
absl::StatusOr<std::vector<float>> ScoreByPrimaryProbe(
    InferenceSession& session, const PromptTokens& prompt, const ScoringHeads& heads,
    const CancellationToken& cancellation = CancellationToken());
// Of every head in `band`, by layer and head: what a profile of the model is made from.
absl::StatusOr<std::vector<HeadScores>> ScoreHeadsByPrimaryProbe(
    InferenceSession& session, const PromptTokens& prompt, LayerBand band,
    const CancellationToken& cancellation = CancellationToken());

// CacheBlend: recomputes all chunk tokens but the first chunk's through layers 0 … check_layer, and scores
// each by the L2 deviation of its fresh from its stale key and value at `check_layer`. Leaves the fresh KV of
// those layers in the cache; they are charged in full. First-chunk tokens score 0.
absl::StatusOr<std::vector<float>> ScoreByKvDeviation(
    InferenceSession& session, const PromptTokens& prompt, int check_layer,
    const CancellationToken& cancellation = CancellationToken());

enum class ScoreNormalisation { kJoint, kPerChunk };  // one softmax over all chunks, or one per chunk
enum class AuxiliaryPass {
  kAssembled,  // one pass over all chunks, one behind the other as they are served
  kParallel,   // one pass over all chunks, each at the positions right behind the prefix
  kPerChunk,   // a pass per chunk
};

struct AuxiliaryOptions {
  AuxiliaryPass pass = AuxiliaryPass::kAssembled;
  ScoreNormalisation normalisation = ScoreNormalisation::kJoint;
  ScoringHeads from;
};

// The paper's setting: a pass per chunk, softmax per chunk, the last loaded layer.
AuxiliaryOptions PaperAuxiliaryOptions(const LanguageModel& model);

struct AuxiliaryInput {
  std::shared_ptr<const EncodedChunk> prefix;  // the auxiliary's KV of the shared prefix; null if none
  std::vector<std::shared_ptr<const EncodedChunk>> chunks;  // the auxiliary's KV, in request order
  std::vector<int32_t> question_ids;                        // the auxiliary's tokens; all rows score
};

// The question run by the auxiliary model on its own KV of the chunks (method.md §3). A truncated primary
// reads the chunks' stored KV of its layers. Result: one score per auxiliary token, chunks one after another.
absl::StatusOr<std::vector<float>> ScoreByAuxiliary(
    std::shared_ptr<const LanguageModel> auxiliary, const AuxiliaryInput& input,
    const AuxiliaryOptions& options, const CancellationToken& cancellation = CancellationToken());
// Of every head in the band of `options.from`, by layer and head.
absl::StatusOr<std::vector<HeadScores>> ScoreHeadsByAuxiliary(
    std::shared_ptr<const LanguageModel> auxiliary, const AuxiliaryInput& input,
    const AuxiliaryOptions& options, const CancellationToken& cancellation = CancellationToken());

}  // namespace cacheclip
