// The selector's work, free of transport: load the auxiliary's KV of each chunk, run the question over it,
// turn scores into primary-token positions. The auxiliary is either the primary truncated to its first layers
// (reads the chunks' stored primary KV, needs none of its own) or any other model with its own tokenizer (its
// KV of prefix and chunks is kept in the same store under its own fingerprint; Prepare() makes it at
// ingestion, a miss is encoded on the spot). Thread-safe; model work runs on the executor.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/engine/auxiliary_chunks.h"
#include "common/engine/token_selector.h"
#include "common/ingest/prefix_context.h"
#include "common/model/scoring/scoring.h"
#include "common/select/selection.h"

namespace cacheclip {

struct SelectorEngineOptions {
  AuxiliaryOptions auxiliary;  // for Method::kAuxiliary
  SelectionOptions selection;  // grouping, window, seam tokens; budget and coverage come with the request
};

class SelectorEngine : public TokenSelector {
 public:
  // `primary`: catalogue, store, tokenizer and layout of the primary; its `model` is the auxiliary itself
  // when that is a truncated primary, else only needed for its fingerprint (may be null: then texts and ids
  // resolve by catalogue). `auxiliary`: model, tokenizer and layout of the auxiliary; the same object as
  // `primary` for a truncated primary.
  SelectorEngine(PrefixContexts* primary, PrefixContexts* auxiliary, SelectorEngineOptions options);

  absl::StatusOr<SelectResult> Select(const SelectRequest& request,
                                      const CancellationToken& cancellation) override;

  // What each head of the auxiliary alone would say, in primary tokens: what a profile is made from.
  absl::StatusOr<std::vector<HeadScores>> ScoreHeads(const SelectRequest& request,
                                                     const CancellationToken& cancellation);

  // Makes sure the auxiliary's KV of these chunks is kept: in the slowest tier that is written. Returns how
  // many had to be encoded; 0 for a truncated primary.
  absl::StatusOr<int> Prepare(std::string_view namespace_name, std::string_view prefix_id,
                              std::span<const SelectChunk> chunks, const CancellationToken& cancellation);

  bool is_truncated_primary() const { return primary_ == auxiliary_; }

 private:
  struct Loaded {
    std::vector<AuxiliaryChunk> chunks;
    AuxiliaryInput input;
  };
  absl::StatusOr<Loaded> Load(const SelectRequest& request, const CancellationToken& cancellation);
  absl::StatusOr<std::vector<int32_t>> QuestionIds(const std::string& question) const;
  absl::StatusOr<std::vector<float>> Score(const AuxiliaryInput& input, Method method,
                                           const CancellationToken& cancellation) const;
  SelectionOptions SelectionFor(const SelectRequest& request) const;
  std::vector<int32_t> SegmentBegins(std::span<const AuxiliaryChunk> chunks,
                                     const SelectionOptions& selection) const;

  PrefixContexts* primary_;
  PrefixContexts* auxiliary_;
  SelectorEngineOptions options_;
};

}  // namespace cacheclip
