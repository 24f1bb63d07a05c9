#include "common/engine/auxiliary_chunks.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

absl::Status CheckPrimary(const std::string& registered, const std::string& asked) {
  if (registered == asked) return absl::OkStatus();
  return FieldError(
      absl::StatusCode::kFailedPrecondition, "primary_fingerprint",
      absl::StrCat("the prefix is registered for primary model ", registered, ", asked for ", asked));
}

}  // namespace

absl::StatusOr<std::shared_ptr<PrefixContext>> AuxiliaryChunks::UsePrefix(
    const std::string& namespace_name, const std::string& prefix_id, const std::string& primary_fingerprint) {
  CACHECLIP_ASSIGN_OR_RETURN(const Place place, PlaceOf(namespace_name, prefix_id, primary_fingerprint));
  return place.context;
}

absl::StatusOr<AuxiliaryChunks::Place> AuxiliaryChunks::PlaceOf(const std::string& namespace_name,
                                                                const std::string& prefix_id,
                                                                const std::string& primary_fingerprint) {
  if (const auto known = places_.find(prefix_id); known != places_.end()) return known->second;
  Place place;
  if (is_truncated_primary()) {
    CACHECLIP_ASSIGN_OR_RETURN(place.context, primary_->Get(namespace_name, prefix_id));
    CACHECLIP_RETURN_IF_ERROR(CheckPrimary(place.context->record().model_fingerprint, primary_fingerprint));
    place.spec = place.context->spec();
  } else {
    CACHECLIP_ASSIGN_OR_RETURN(const Prefix record,
                               primary_->runtime().catalog->GetPrefix(namespace_name, prefix_id));
    CACHECLIP_RETURN_IF_ERROR(CheckPrimary(record.model_fingerprint, primary_fingerprint));
    place.spec = SpecOf(record);
    CACHECLIP_ASSIGN_OR_RETURN(place.context, auxiliary_->GetForSpec(namespace_name, place.spec));
  }
  return places_.emplace(prefix_id, std::move(place)).first->second;
}

absl::StatusOr<std::vector<AuxiliaryChunk>> AuxiliaryChunks::Resolve(const SelectRequest& request) {
  std::vector<ChunkInput> contents;  // ids where the text is not given
  for (const SelectChunk& chunk : request.chunks)
    contents.push_back(chunk.text.empty() ? ChunkInput{.chunk_id = chunk.chunk_id}
                                          : ChunkInput{.text = chunk.text, .title = chunk.title});
  CACHECLIP_ASSIGN_OR_RETURN(const auto records,
                             LookUpRecords(*primary_->runtime().catalog, request.namespace_name, contents));
  std::vector<AuxiliaryChunk> chunks;
  chunks.reserve(contents.size());
  for (size_t i = 0; i < contents.size(); ++i) {
    std::string prefix_id = request.prefix_id;
    if (records[i].has_value()) {
      contents[i] = {.text = records[i]->text, .title = records[i]->title};
      prefix_id = records[i]->prefix_id;
    }
    CACHECLIP_ASSIGN_OR_RETURN(const Place place,
                               PlaceOf(request.namespace_name, prefix_id, request.primary_fingerprint));
    CACHECLIP_ASSIGN_OR_RETURN(AuxiliaryChunk chunk, ResolveOne(place, request.chunks[i], contents[i],
                                                                absl::StrCat("chunks[", i, "]")));
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

absl::StatusOr<AuxiliaryChunk> AuxiliaryChunks::ResolveOne(const Place& place, const SelectChunk& chunk,
                                                           const ChunkInput& content,
                                                           const std::string& field) const {
  AuxiliaryChunk result;
  CACHECLIP_ASSIGN_OR_RETURN(result.primary_key, ChunkKey::FromHex(chunk.chunk_id));
  result.resolved.context = place.context;
  CACHECLIP_ASSIGN_OR_RETURN(result.resolved.encoding,
                             place.context->TokenizeChunk(content.text, content.title));
  result.resolved.key = place.context->KeyOf(result.resolved.encoding.ids);
  result.primary_ids = result.resolved.encoding.ids;
  result.primary_spans = result.resolved.encoding.spans;
  if (!is_truncated_primary()) {
    CACHECLIP_ASSIGN_OR_RETURN(Encoding primary,
                               primary_->runtime().layout->ChunkIds(place.spec, content.text, content.title));
    result.primary_ids = std::move(primary.ids);
    result.primary_spans = std::move(primary.spans);
  }
  const auto num_tokens = static_cast<int32_t>(result.primary_spans.size());
  if (chunk.num_tokens != 0 && chunk.num_tokens != num_tokens)
    return FieldError(
        absl::StatusCode::kFailedPrecondition, absl::StrCat(field, ".num_tokens"),
        absl::StrCat("the primary counts ", chunk.num_tokens, " tokens, its tokenizer here ", num_tokens));
  return result;
}

absl::StatusOr<std::shared_ptr<const EncodedChunk>> AuxiliaryChunks::Load(
    const AuxiliaryChunk& chunk, TaskPriority priority, const CancellationToken& cancellation) const {
  if (is_truncated_primary()) {
    ResolvedChunk primary = chunk.resolved;
    primary.key = chunk.primary_key;
    ReadResult read = source_.Read(primary, {.deadline = cancellation.deadline()});
    if (read.hit.has_value()) return std::move(read.hit->chunk);
  }
  // A truncated primary's own chunk would be a second, partial copy of what the primary is about to store.
  const PutBack put_back = is_truncated_primary() ? PutBack::kNever : PutBack::kAlways;
  CACHECLIP_ASSIGN_OR_RETURN(LoadedChunk loaded,
                             source_.Load(chunk.resolved, put_back, priority, cancellation));
  for (const Fallback& problem : loaded.fallbacks) {
    CACHECLIP_LOG(Warning) << "auxiliary KV: " << problem.reason << ", " << problem.detail;
  }
  return std::move(loaded.hit.chunk);
}

}  // namespace cacheclip
