#include "common/rpc/conversion/ingestion_conversion.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/remote_status.h"

namespace cacheclip {
namespace {

v1::DocumentError ToProtoError(const absl::Status& status) {
  v1::DocumentError error;
  error.set_code(static_cast<int>(status.code()));
  error.set_message(std::string(status.message()));
  error.set_field(FieldOf(status));
  return error;
}

absl::Status FromProtoError(const v1::DocumentError& error) {
  return RemoteStatus(error.code(), error.message(), error.field());
}

constexpr char kSystemPlacement[] = "system";
constexpr char kUserPlacement[] = "user";

v1::Placement ToPlacement(const std::string& name) {
  return name == kSystemPlacement ? v1::PLACEMENT_SYSTEM : v1::PLACEMENT_USER;
}

}  // namespace

int64_t ToExpirySeconds(absl::Time time) {
  return time == absl::InfiniteFuture() ? 0 : absl::ToUnixSeconds(time);
}

absl::Time FromExpirySeconds(int64_t seconds) {
  return seconds == 0 ? absl::InfiniteFuture() : absl::FromUnixSeconds(seconds);
}

v1::IngestOptions ToProto(const IngestOptions& from) {
  v1::IngestOptions to;
  to.set_namespace_name(from.namespace_name);
  to.set_prefix_id(from.prefix_id);
  to.set_target_chunk_tokens(from.chunker.target_tokens);
  to.set_max_chunk_tokens(from.chunker.max_tokens);
  to.set_omit_titles(!from.title_in_chunks);
  return to;
}

absl::StatusOr<IngestOptions> FromProto(const v1::IngestOptions& from) {
  const int target = from.target_chunk_tokens() == 0 ? kDefaultTargetChunkTokens : from.target_chunk_tokens();
  if (target < 1 || target > kMaxTargetChunkTokens) {
    return InvalidField("options.target_chunk_tokens",
                        absl::StrCat("must be between 1 and ", kMaxTargetChunkTokens, ", got ", target));
  }
  const int cap = from.max_chunk_tokens() == 0 ? 2 * target : from.max_chunk_tokens();
  if (cap < target || cap > kMaxChunkTokenCap) {
    return InvalidField("options.max_chunk_tokens", absl::StrCat("must be between the target, ", target,
                                                                 ", and ", kMaxChunkTokenCap, ", got ", cap));
  }
  IngestOptions to;
  to.namespace_name = from.namespace_name();
  to.prefix_id = from.prefix_id();
  to.chunker.target_tokens = target;
  to.chunker.max_tokens = cap;
  to.chunker.min_tokens = std::min(to.chunker.min_tokens, target);
  to.title_in_chunks = !from.omit_titles();
  return to;
}

v1::SourceDocument ToProto(const SourceDocument& from) {
  v1::SourceDocument to;
  to.set_document_id(from.document_id);
  to.set_title(from.title);
  to.set_utf8_text(from.text);
  to.set_format(from.format == DocumentFormat::kMarkdown ? v1::DOCUMENT_FORMAT_MARKDOWN
                                                         : v1::DOCUMENT_FORMAT_PLAIN_TEXT);
  to.set_metadata_json(from.metadata_json);
  to.set_expire_time_unix_seconds(ToExpirySeconds(from.expire_time));
  return to;
}

SourceDocument FromProto(const v1::SourceDocument& from) {
  SourceDocument to;
  to.document_id = from.document_id();
  to.title = from.title();
  to.text = from.has_utf8_text() ? from.utf8_text() : from.text();
  to.format =
      from.format() == v1::DOCUMENT_FORMAT_MARKDOWN ? DocumentFormat::kMarkdown : DocumentFormat::kPlainText;
  to.metadata_json = from.metadata_json();
  to.expire_time = FromExpirySeconds(from.expire_time_unix_seconds());
  return to;
}

v1::DocumentResult ToProto(const DocumentResult& from) {
  v1::DocumentResult to;
  to.set_document_id(from.document_id);
  if (!from.status.ok()) *to.mutable_error() = ToProtoError(from.status);
  to.set_num_chunks(from.num_chunks);
  to.set_chunks_encoded(from.chunks_encoded);
  to.set_chunks_reused(from.chunks_reused);
  to.set_num_tokens(from.num_tokens);
  to.set_unchanged(from.unchanged);
  for (const ChunkRecord& chunk : from.chunks) {
    v1::DocumentChunk& added = *to.add_chunks();
    added.set_chunk_id(chunk.chunk_id);
    added.set_num_tokens(chunk.num_tokens);
    added.set_text(chunk.text);
    added.set_title(chunk.title);
  }
  return to;
}

DocumentResult FromProto(const v1::DocumentResult& from) {
  DocumentResult to;
  to.document_id = from.document_id();
  if (from.has_error()) to.status = FromProtoError(from.error());
  to.num_chunks = from.num_chunks();
  to.chunks_encoded = from.chunks_encoded();
  to.chunks_reused = from.chunks_reused();
  to.num_tokens = from.num_tokens();
  to.unchanged = from.unchanged();
  for (const v1::DocumentChunk& chunk : from.chunks()) {
    ChunkRecord record;
    record.chunk_id = chunk.chunk_id();
    record.num_tokens = chunk.num_tokens();
    record.text = chunk.text();
    record.title = chunk.title();
    to.chunks.push_back(std::move(record));
  }
  return to;
}

v1::Document ToProto(const Document& from) {
  v1::Document to;
  to.set_document_id(from.document_id);
  to.set_title(from.title);
  to.set_content_digest(from.content_digest);
  to.set_metadata_json(from.metadata_json);
  to.set_prefix_id(from.prefix_id);
  to.set_writer_version(from.writer_version);
  for (const ChunkReference& chunk : from.chunks) {
    v1::DocumentChunk& added = *to.add_chunks();
    added.set_chunk_id(chunk.chunk_id);
    added.set_begin_byte(chunk.begin_byte);
    added.set_end_byte(chunk.end_byte);
  }
  to.set_created_unix_seconds(absl::ToUnixSeconds(from.created_time));
  to.set_updated_unix_seconds(absl::ToUnixSeconds(from.updated_time));
  to.set_expire_time_unix_seconds(ToExpirySeconds(from.expire_time));
  return to;
}

Document FromProto(const v1::Document& from) {
  Document to;
  to.document_id = from.document_id();
  to.title = from.title();
  to.content_digest = from.content_digest();
  to.metadata_json = from.metadata_json();
  to.prefix_id = from.prefix_id();
  to.writer_version = from.writer_version();
  for (const v1::DocumentChunk& chunk : from.chunks())
    to.chunks.push_back({chunk.chunk_id(), chunk.begin_byte(), chunk.end_byte()});
  to.created_time = absl::FromUnixSeconds(from.created_unix_seconds());
  to.updated_time = absl::FromUnixSeconds(from.updated_unix_seconds());
  to.expire_time = FromExpirySeconds(from.expire_time_unix_seconds());
  return to;
}

PrefixSpec FromProto(const v1::PrefixSpec& from) {
  PrefixSpec to;
  to.system_prompt = from.system_prompt();
  to.instruction = from.instruction();
  to.placement = from.placement() == v1::PLACEMENT_SYSTEM ? PrefixSpec::Placement::kSystem
                                                          : PrefixSpec::Placement::kUser;
  if (from.has_separator()) to.separator = from.separator();
  to.template_time = absl::FromUnixSeconds(from.template_time_unix_seconds());
  return to;
}

v1::PrefixSpec ToProto(const PrefixSpec& from) {
  v1::PrefixSpec to;
  to.set_system_prompt(from.system_prompt);
  to.set_instruction(from.instruction);
  to.set_placement(from.placement == PrefixSpec::Placement::kSystem ? v1::PLACEMENT_SYSTEM
                                                                    : v1::PLACEMENT_USER);
  to.set_separator(from.separator);
  to.set_template_time_unix_seconds(absl::ToUnixSeconds(from.template_time));
  return to;
}

v1::Prefix ToProto(const Prefix& from) {
  v1::Prefix to;
  to.set_prefix_id(from.prefix_id);
  v1::PrefixSpec& spec = *to.mutable_spec();
  spec.set_system_prompt(from.system_prompt);
  spec.set_instruction(from.instruction);
  spec.set_placement(ToPlacement(from.placement));
  spec.set_separator(from.separator);
  spec.set_template_time_unix_seconds(absl::ToUnixSeconds(from.template_time));
  to.set_num_tokens(from.num_tokens());
  to.set_model_fingerprint(from.model_fingerprint);
  to.set_tokenizer_fingerprint(from.tokenizer_fingerprint);
  to.set_is_default(from.is_default);
  return to;
}

Prefix FromProto(const v1::Prefix& from) {
  Prefix to;
  to.prefix_id = from.prefix_id();
  to.system_prompt = from.spec().system_prompt();
  to.instruction = from.spec().instruction();
  to.placement = from.spec().placement() == v1::PLACEMENT_SYSTEM ? kSystemPlacement : kUserPlacement;
  to.separator = from.spec().separator();
  to.template_time = absl::FromUnixSeconds(from.spec().template_time_unix_seconds());
  to.model_fingerprint = from.model_fingerprint();
  to.tokenizer_fingerprint = from.tokenizer_fingerprint();
  to.is_default = from.is_default();
  return to;
}

}  // namespace cacheclip
