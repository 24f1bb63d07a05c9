// From what a request names to the KV of its chunks. Resolve() turns ids and texts into tokens and keys,
// every id through one look-up in the catalogue: local bytes never prove that a chunk exists. Load() reads
// the KV and compares it with the asked tokens; what is missing, damaged or another chunk's is encoded anew,
// alone behind its prefix (the same KV a hit would give), and put back. A store that fails costs time, never
// the request. Thread-safe. Load() computes on the executor: never call it from inside a task.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/serial_executor.h"
#include "common/catalog/records.h"
#include "common/engine/generate_request.h"
#include "common/ingest/prefix_context.h"
#include "common/kv/chunk_key.h"
#include "common/store/chunk_store.h"
#include "common/text/tokenizer.h"

namespace cacheclip {

struct ResolvedChunk {
  std::shared_ptr<PrefixContext> context;  // of the prefix it is encoded behind
  Encoding encoding;
  ChunkKey key;
  bool by_id = false;
  bool other_prefix = false;  // than the request's
  bool is_prefix = false;     // the prefix's own KV: its tokens stand behind nothing

  int32_t num_tokens() const { return static_cast<int32_t>(encoding.ids.size()); }
};

struct LoadedChunk {
  StoreHit hit;                     // tier kComputed: it had to be encoded
  std::vector<Fallback> fallbacks;  // what went wrong with the store
  absl::Duration load_duration, encode_duration;
};

// Why a stored chunk was not had.
enum class ReadProblem { kNone, kMissing, kDamaged, kUnavailable, kLate };

struct ReadResult {
  std::optional<StoreHit> hit;  // may still be arriving, if the options accept that
  ReadProblem problem = ReadProblem::kNone;
  std::optional<Fallback> fallback;  // what to tell the user; an ordinary miss says nothing
};

enum class PutBack { kNever, kIfById, kAlways };

class ChunkSource {
 public:
  explicit ChunkSource(PrefixContexts* contexts) : contexts_(contexts) {}

  // Errors name "chunks[i].chunk_id": NOT_FOUND for an id the catalogue does not know, FAILED_PRECONDITION
  // for one encoded behind another prefix (unless allowed) or by another model. UNAVAILABLE if there are ids
  // and the catalogue is down.
  absl::StatusOr<std::vector<ResolvedChunk>> Resolve(const std::shared_ptr<PrefixContext>& prefix,
                                                     std::span<const ChunkInput> inputs,
                                                     bool allow_other_prefix) const;

  // CANCELLED, DEADLINE_EXCEEDED, or what encoding a miss fails with.
  absl::StatusOr<LoadedChunk> Load(const ResolvedChunk& chunk, PutBack put_back, TaskPriority priority,
                                   const CancellationToken& cancellation) const;

  // The stored chunk alone; deletes another chunk under the key everywhere. Damaged bytes: see ChunkStore.
  ReadResult Read(const ResolvedChunk& chunk, GetOptions options) const;

 private:
  absl::StatusOr<ResolvedChunk> ResolveId(const std::shared_ptr<PrefixContext>& prefix,
                                          const std::string& field, const ChunkRecord& record,
                                          bool allow_other_prefix) const;

  PrefixContexts* contexts_;
};

// The prefix itself as something to load; its ids may be empty.
ResolvedChunk ResolvePrefix(const std::shared_ptr<PrefixContext>& prefix);

// One consistent look-up for all ids among `inputs`, in order of the inputs; nullopt for texts. Errors as
// Resolve().
absl::StatusOr<std::vector<std::optional<ChunkRecord>>> LookUpRecords(Catalog& catalog,
                                                                      std::string_view namespace_name,
                                                                      std::span<const ChunkInput> inputs);

}  // namespace cacheclip
