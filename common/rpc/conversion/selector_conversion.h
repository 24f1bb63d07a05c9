// The selector's values to and from their protobuf twins; used by the client and by the service, so that both
// agree. For common/rpc and *_service.cc only.
#pragma once

#include "absl/status/statusor.h"
#include "cacheclip/v1/selector.pb.h"
#include "common/engine/token_selector.h"

namespace cacheclip {

v1::SelectTokensRequest ToProto(const SelectRequest& request);
// INVALID_ARGUMENT naming "chunks", "question", "method" or "budget".
absl::StatusOr<SelectRequest> FromProto(const v1::SelectTokensRequest& request);

v1::SelectTokensResponse ToProto(const SelectResult& result);
// INTERNAL for indices that are not ascending or not below num_context_tokens.
absl::StatusOr<SelectResult> FromProto(const v1::SelectTokensResponse& response);

v1::SelectorChunk ToProto(const SelectChunk& chunk);
SelectChunk FromProto(const v1::SelectorChunk& chunk);

}  // namespace cacheclip
