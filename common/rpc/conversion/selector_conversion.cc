#include "common/rpc/conversion/selector_conversion.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/engine/generate_request.h"

namespace cacheclip {

v1::SelectorChunk ToProto(const SelectChunk& from) {
  v1::SelectorChunk to;
  to.set_chunk_id(from.chunk_id);
  to.set_text(from.text);
  to.set_title(from.title);
  to.set_num_tokens(from.num_tokens);
  return to;
}

SelectChunk FromProto(const v1::SelectorChunk& from) {
  return {from.chunk_id(), from.text(), from.title(), from.num_tokens()};
}

v1::SelectTokensRequest ToProto(const SelectRequest& from) {
  v1::SelectTokensRequest to;
  to.set_namespace_name(from.namespace_name);
  to.set_prefix_id(from.prefix_id);
  to.set_primary_fingerprint(from.primary_fingerprint);
  for (const SelectChunk& chunk : from.chunks) *to.add_chunks() = ToProto(chunk);
  to.set_question(from.question);
  to.set_method(std::string(MethodId(from.method)));
  to.set_budget(from.budget);
  to.set_coverage(from.coverage);
  to.set_first_chunk_selectable(from.first_chunk_selectable);
  return to;
}

absl::StatusOr<SelectRequest> FromProto(const v1::SelectTokensRequest& from) {
  if (from.chunks().empty()) return InvalidField("chunks", "must not be empty");
  if (from.chunks_size() > kMaxChunksPerRequest) {
    return FieldError(absl::StatusCode::kResourceExhausted, "chunks",
                      absl::StrCat("at most ", kMaxChunksPerRequest, ", got ", from.chunks_size()));
  }
  if (from.question().empty()) return InvalidField("question", "must not be empty");
  if (!(from.budget() >= 0 && from.budget() <= 1))
    return InvalidField("budget", absl::StrCat("must be between 0 and 1, got ", from.budget()));
  if (from.has_coverage() && !(from.coverage() > 0 && from.coverage() <= 1)) {
    return InvalidField("coverage",
                        absl::StrCat("must be between 0 (exclusive) and 1, got ", from.coverage()));
  }
  SelectRequest to;
  absl::StatusOr<Method> method = ParseMethod(from.method());
  if (!method.ok() || (*method != Method::kAuxiliary && *method != Method::kAuxiliaryPaper))
    return InvalidField("method", absl::StrCat("must be auxiliary or auxiliary_paper, got ", from.method()));
  to.method = *method;
  to.namespace_name = from.namespace_name();
  to.prefix_id = from.prefix_id();
  to.primary_fingerprint = from.primary_fingerprint();
  for (const v1::SelectorChunk& chunk : from.chunks()) to.chunks.push_back(FromProto(chunk));
  to.question = from.question();
  to.budget = from.budget();
  if (from.has_coverage()) to.coverage = from.coverage();
  to.first_chunk_selectable = from.first_chunk_selectable();
  return to;
}

v1::SelectTokensResponse ToProto(const SelectResult& from) {
  v1::SelectTokensResponse to;
  to.mutable_indices()->Add(from.indices.begin(), from.indices.end());
  to.set_num_context_tokens(from.num_context_tokens);
  if (from.stale_mass_share.has_value()) to.set_stale_mass_share(*from.stale_mass_share);
  to.set_auxiliary_name(from.auxiliary_name);
  to.set_load_seconds(absl::ToDoubleSeconds(from.load_duration));
  to.set_score_seconds(absl::ToDoubleSeconds(from.score_duration));
  return to;
}

absl::StatusOr<SelectResult> FromProto(const v1::SelectTokensResponse& from) {
  SelectResult to;
  to.num_context_tokens = from.num_context_tokens();
  int32_t previous = -1;
  for (const int32_t index : from.indices()) {
    if (index <= previous || index >= to.num_context_tokens) {
      return absl::InternalError(absl::StrCat("the selector answered index ", index, " after ", previous,
                                              " of ", to.num_context_tokens, " tokens"));
    }
    previous = index;
    to.indices.push_back(index);
  }
  if (from.has_stale_mass_share()) {
    if (!(from.stale_mass_share() >= 0 && from.stale_mass_share() <= 1))
      return absl::InternalError(
          absl::StrCat("the selector answered a stale mass share of ", from.stale_mass_share()));
    to.stale_mass_share = from.stale_mass_share();
  }
  to.auxiliary_name = from.auxiliary_name();
  to.load_duration = absl::Seconds(from.load_seconds());
  to.score_duration = absl::Seconds(from.score_seconds());
  return to;
}

}  // namespace cacheclip
