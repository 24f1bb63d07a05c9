#include "common/engine/generate_request.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/catalog/records.h"
#include "common/kv/chunk_key.h"
#include "common/select/selection.h"
#include "common/text/prompt_layout.h"
#include "common/text/tokenizer.h"

namespace cacheclip {
namespace {

absl::Status TooMuch(std::string_view field, int64_t actual, int64_t limit, const char* unit) {
  return FieldError(absl::StatusCode::kResourceExhausted, field,
                    absl::StrCat(actual, " ", unit, ", at most ", limit, " are allowed"));
}

absl::Status CheckSize(std::string_view field, int64_t actual, int64_t limit, const char* unit) {
  return actual > limit ? TooMuch(field, actual, limit, unit) : absl::OkStatus();
}

absl::Status CheckInput(const GenerateRequest& request) {
  if (request.messages.empty() && request.token_ids.empty())
    return InvalidField("messages", "must not be empty");
  if (!request.messages.empty() && !request.token_ids.empty())
    return InvalidField("token_ids", "either messages or token ids, not both");
  return CheckSize("messages", request.messages.size(), kMaxMessages, "messages");
}

absl::Status CheckChunk(const std::string& field, const ChunkInput& chunk) {
  if (chunk.chunk_id.empty() == chunk.text.empty())
    return InvalidField(field, "needs either a chunk_id or a text that is not empty");
  if (!chunk.chunk_id.empty()) {
    if (!ChunkKey::FromHex(chunk.chunk_id).ok())
      return InvalidField(absl::StrCat(field, ".chunk_id"), "must be 64 hexadecimal digits");
    return absl::OkStatus();
  }
  CACHECLIP_RETURN_IF_ERROR(
      CheckSize(absl::StrCat(field, ".text"), chunk.text.size(), kMaxChunkInputBytes, "bytes"));
  CACHECLIP_RETURN_IF_ERROR(
      CheckSize(absl::StrCat(field, ".title"), chunk.title.size(), kMaxTitleBytes, "bytes"));
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8(absl::StrCat(field, ".text"), chunk.text));
  return CheckUtf8(absl::StrCat(field, ".title"), chunk.title);
}

absl::Status CheckChunks(const std::vector<ChunkInput>& chunks) {
  CACHECLIP_RETURN_IF_ERROR(CheckSize("chunks", chunks.size(), kMaxChunksPerRequest, "chunks"));
  for (size_t i = 0; i < chunks.size(); ++i)
    CACHECLIP_RETURN_IF_ERROR(CheckChunk(absl::StrCat("chunks[", i, "]"), chunks[i]));
  return absl::OkStatus();
}

absl::Status CheckStop(const std::vector<std::string>& stop) {
  CACHECLIP_RETURN_IF_ERROR(CheckSize("options.stop", stop.size(), kMaxStopStrings, "strings"));
  for (size_t i = 0; i < stop.size(); ++i) {
    const std::string field = absl::StrCat("options.stop[", i, "]");
    if (stop[i].empty()) return InvalidField(field, "must not be empty");
    CACHECLIP_RETURN_IF_ERROR(CheckSize(field, stop[i].size(), kMaxStopStringBytes, "bytes"));
    CACHECLIP_RETURN_IF_ERROR(CheckUtf8(field, stop[i]));
  }
  return absl::OkStatus();
}

absl::Status CheckDemand(const GenerateOptions& options) {
  const bool is_detailed =
      options.method != Method::kAuto || options.budget.has_value() || options.coverage.has_value();
  if (options.quality != Quality::kUnspecified && is_detailed)
    return InvalidField("options.quality", "stands for method, budget and coverage, so none may be given");
  const SelectionDemand demand = DemandOf(options, {});
  return ValidateSelectionOptions({.budget = demand.budget, .coverage = demand.coverage});
}

absl::Status CheckOptions(const GenerateOptions& options) {
  CACHECLIP_RETURN_IF_ERROR(CheckDemand(options));
  if (options.max_new_tokens < 1)
    return InvalidField("options.max_new_tokens",
                        absl::StrCat("must be at least 1, got ", options.max_new_tokens));
  CACHECLIP_RETURN_IF_ERROR(CheckStop(options.stop));
  return ValidateSamplingOptions(options.sampling);
}

}  // namespace

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kStopString:
      return "stop_string";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

SelectionDemand DemandOf(const GenerateOptions& options, const QualityLevels& levels) {
  if (options.quality != Quality::kUnspecified) return DemandOf(options.quality, levels);
  return {.method = options.method,
          .budget = options.budget.value_or(kDefaultBudget),
          .coverage = options.coverage.value_or(1)};
}

absl::Status ValidateGenerateRequest(const GenerateRequest& request) {
  CACHECLIP_RETURN_IF_ERROR(CheckSize("request_id", request.request_id.size(), kMaxRequestIdBytes, "bytes"));
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("request_id", request.request_id));
  CACHECLIP_RETURN_IF_ERROR(CheckInput(request));
  CACHECLIP_RETURN_IF_ERROR(CheckChunks(request.chunks));
  return CheckOptions(request.options);
}

}  // namespace cacheclip
