#include "common/engine/chunk_source.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/kv/chunk_header.h"

namespace cacheclip {
namespace {

std::string IdField(size_t index) { return absl::StrCat("chunks[", index, "].chunk_id"); }

Fallback StoreFallback(const char* reason, const ChunkKey& key, const absl::Status& status) {
  return {"store", reason, absl::StrCat("chunk ", key.ToHex(), ": ", status.message())};
}

absl::StatusOr<ResolvedChunk> ResolveText(const std::shared_ptr<PrefixContext>& prefix,
                                          const std::string& field, const ChunkInput& input) {
  ResolvedChunk chunk{.context = prefix};
  auto encoding = prefix->TokenizeChunk(input.text, input.title);
  if (!encoding.ok()) return WithContext(encoding.status(), field);
  if (encoding->ids.empty()) return InvalidField(absl::StrCat(field, ".text"), "has no tokens");
  chunk.encoding = *std::move(encoding);
  chunk.key = prefix->KeyOf(chunk.encoding.ids);
  return chunk;
}

}  // namespace

ResolvedChunk ResolvePrefix(const std::shared_ptr<PrefixContext>& prefix) {
  ResolvedChunk chunk{.context = prefix, .key = prefix->PrefixKey(), .is_prefix = true};
  chunk.encoding.ids.assign(prefix->ids().begin(), prefix->ids().end());
  return chunk;
}

absl::StatusOr<std::vector<std::optional<ChunkRecord>>> LookUpRecords(Catalog& catalog,
                                                                      std::string_view namespace_name,
                                                                      std::span<const ChunkInput> inputs) {
  std::vector<std::string> ids;
  std::vector<size_t> owners;  // which input each id belongs to
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].chunk_id.empty()) continue;
    ids.push_back(absl::AsciiStrToLower(inputs[i].chunk_id));
    owners.push_back(i);
  }
  std::vector<std::optional<ChunkRecord>> records(inputs.size());
  if (ids.empty()) return records;
  auto found = catalog.ResolveChunks(namespace_name, ids);
  if (!found.ok()) return WithContext(found.status(), "resolving chunk ids");
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!(*found)[i].has_value())
      return FieldError(absl::StatusCode::kNotFound, IdField(owners[i]),
                        absl::StrCat("no chunk ", ids[i], " in namespace ", AbslView(namespace_name)));
    records[owners[i]] = *std::move((*found)[i]);
  }
  return records;
}

absl::StatusOr<std::vector<ResolvedChunk>> ChunkSource::Resolve(const std::shared_ptr<PrefixContext>& prefix,
                                                                std::span<const ChunkInput> inputs,
                                                                bool allow_other_prefix) const {
  CACHECLIP_ASSIGN_OR_RETURN(const auto records, LookUpRecords(*contexts_->runtime().catalog,
                                                               prefix->record().namespace_name, inputs));
  std::vector<ResolvedChunk> chunks;
  chunks.reserve(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    auto chunk = records[i].has_value() ? ResolveId(prefix, IdField(i), *records[i], allow_other_prefix)
                                        : ResolveText(prefix, absl::StrCat("chunks[", i, "]"), inputs[i]);
    CACHECLIP_RETURN_IF_ERROR(chunk.status());
    chunks.push_back(*std::move(chunk));
  }
  return chunks;
}

absl::StatusOr<ResolvedChunk> ChunkSource::ResolveId(const std::shared_ptr<PrefixContext>& prefix,
                                                     const std::string& field, const ChunkRecord& record,
                                                     bool allow_other_prefix) const {
  ResolvedChunk chunk{.context = prefix, .by_id = true};
  chunk.other_prefix = record.prefix_id != prefix->record().prefix_id;
  if (chunk.other_prefix && !allow_other_prefix)
    return FieldError(absl::StatusCode::kFailedPrecondition, field,
                      absl::StrCat("chunk ", record.chunk_id, " was encoded behind prefix ", record.prefix_id,
                                   ", the request's is ", prefix->record().prefix_id,
                                   " (options.allow_other_prefix serves it nevertheless)"));
  if (chunk.other_prefix) {
    auto context = contexts_->Get(record.namespace_name, record.prefix_id);
    if (!context.ok()) return FieldError(context.status().code(), field, StdView(context.status().message()));
    chunk.context = *std::move(context);
  }
  CACHECLIP_ASSIGN_OR_RETURN(chunk.encoding, chunk.context->TokenizeChunk(record.text, record.title));
  chunk.key = chunk.context->KeyOf(chunk.encoding.ids);
  if (chunk.key.ToHex() != record.chunk_id)
    return FieldError(
        absl::StatusCode::kFailedPrecondition, field,
        absl::StrCat("chunk ", record.chunk_id,
                     " was made by another model, tokenizer or configuration than this server's"));
  return chunk;
}

absl::StatusOr<LoadedChunk> ChunkSource::Load(const ResolvedChunk& chunk, PutBack put_back,
                                              TaskPriority priority,
                                              const CancellationToken& cancellation) const {
  CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
  const Clock& clock = *contexts_->runtime().clock;
  LoadedChunk loaded;
  const absl::Time begin = clock.Now();
  ReadResult result = Read(chunk, {.deadline = cancellation.deadline()});
  const absl::Time read = clock.Now();
  loaded.load_duration = read - begin;
  if (result.fallback.has_value()) loaded.fallbacks.push_back(*std::move(result.fallback));
  if (result.hit.has_value()) {
    loaded.hit = *std::move(result.hit);
    return loaded;
  }
  CACHECLIP_ASSIGN_OR_RETURN(loaded.hit.chunk, chunk.context->Encode(chunk.encoding, priority, cancellation));
  loaded.hit.tier = Tier::kComputed;
  if (put_back == PutBack::kAlways || (put_back == PutBack::kIfById && chunk.by_id)) {
    const absl::Status stored =
        contexts_->runtime().store->PutInGroup(loaded.hit.chunk, chunk.context->record().namespace_name);
    if (!stored.ok()) loaded.fallbacks.push_back(StoreFallback("write_failed", chunk.key, stored));
  }
  loaded.encode_duration = clock.Now() - read;
  return loaded;
}

ReadResult ChunkSource::Read(const ResolvedChunk& chunk, GetOptions options) const {
  ChunkStore& store = *contexts_->runtime().store;
  options.group = chunk.context->record().namespace_name;
  auto hit = store.Get(chunk.key, options);
  const auto failed = [&chunk](ReadProblem problem, const char* reason, const absl::Status& status) {
    return ReadResult{{}, problem, StoreFallback(reason, chunk.key, status)};
  };
  // The tier that served damaged bytes has deleted them; another one may hold a good copy.
  if (absl::IsDataLoss(hit.status())) return failed(ReadProblem::kDamaged, "chunk_corrupt", hit.status());
  if (absl::IsNotFound(hit.status())) {
    // A text nobody has stored is an ordinary miss; an id promises bytes.
    if (chunk.by_id) return failed(ReadProblem::kMissing, "chunk_missing", hit.status());
    return {{}, ReadProblem::kMissing};
  }
  if (absl::IsDeadlineExceeded(hit.status())) return failed(ReadProblem::kLate, "load_late", hit.status());
  if (!hit.ok()) return failed(ReadProblem::kUnavailable, "store_unavailable", hit.status());
  const auto behind = chunk.is_prefix ? std::span<const int32_t>() : chunk.context->ids();
  const absl::Status same = CheckIdentity(hit->chunk->header(), chunk.key, behind, chunk.encoding.ids);
  if (same.ok()) return {*std::move(hit)};
  // Whole, with good checksums, but another chunk: it was written wrongly, so no copy is trusted.
  if (hit->arrival != nullptr) hit->arrival->Abandon();
  ReadResult result = failed(ReadProblem::kDamaged, "chunk_mismatch", same);
  CACHECLIP_LOG(Warning) << "stored chunk is not served: " << result.fallback->detail;
  if (const absl::Status deleted = store.Delete(chunk.key); !deleted.ok()) {
    CACHECLIP_LOG(Warning) << "chunk " << chunk.key.ToHex() << " is not deleted: " << deleted;
  }
  return result;
}

}  // namespace cacheclip
