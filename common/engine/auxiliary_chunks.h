// The auxiliary model's view of a request's chunks: for each, the auxiliary's tokens and KV, and the
// primary's token spans that scores are carried over to. The two kinds of auxiliary differ only here: a
// truncated primary reads the stored primary KV, another model has KV and tokens of its own, behind its own
// rendering of the same prefix. Thread-safe: one object per request. Load() computes on the executor.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/base/serial_executor.h"
#include "common/base/token_span.h"
#include "common/engine/chunk_source.h"
#include "common/engine/token_selector.h"
#include "common/ingest/prefix_context.h"

namespace cacheclip {

struct AuxiliaryChunk {
  ResolvedChunk resolved;  // the auxiliary's tokens and key
  ChunkKey primary_key;
  std::vector<int32_t> primary_ids;
  std::vector<TokenSpan>
      primary_spans;  // one per primary token; relative to the chunk's text, as the auxiliary's
};

class AuxiliaryChunks {
 public:
  // `primary` == `auxiliary` for a truncated primary.
  AuxiliaryChunks(PrefixContexts* primary, PrefixContexts* auxiliary)
      : primary_(primary), auxiliary_(auxiliary), source_(auxiliary) {}

  // FAILED_PRECONDITION if the prefix was registered for another primary than `primary_fingerprint`. Keeps
  // its contexts.
  absl::StatusOr<std::shared_ptr<PrefixContext>> UsePrefix(const std::string& namespace_name,
                                                           const std::string& prefix_id,
                                                           const std::string& primary_fingerprint);

  // Ids resolve through the catalogue, texts as given. Errors name "chunks[i]…".
  absl::StatusOr<std::vector<AuxiliaryChunk>> Resolve(const SelectRequest& request);

  // The auxiliary's KV: stored, or encoded now (and stored, unless the auxiliary is the primary cut short).
  absl::StatusOr<std::shared_ptr<const EncodedChunk>> Load(const AuxiliaryChunk& chunk, TaskPriority priority,
                                                           const CancellationToken& cancellation) const;

 private:
  struct Place {
    std::shared_ptr<PrefixContext> context;  // the auxiliary's
    PrefixSpec spec;
  };
  bool is_truncated_primary() const { return primary_ == auxiliary_; }
  absl::StatusOr<Place> PlaceOf(const std::string& namespace_name, const std::string& prefix_id,
                                const std::string& primary_fingerprint);
  absl::StatusOr<AuxiliaryChunk> ResolveOne(const Place& place, const SelectChunk& chunk,
                                            const ChunkInput& content, const std::string& field) const;

  PrefixContexts* primary_;
  PrefixContexts* auxiliary_;
  ChunkSource source_;
  std::map<std::string, Place> places_;  // by prefix id
};

}  // namespace cacheclip
