// Generation's values to and from their protobuf twins; used by the client and by the service, so that both
// agree. ToProto never fails; FromProto names the field that does not convert. For common/rpc and
// *_service.cc only.
#pragma once

#include "absl/status/statusor.h"
#include "cacheclip/v1/generation.pb.h"
#include "common/engine/generate_request.h"
#include "common/rpc/generation_client.h"

namespace cacheclip {

v1::GenerateRequest ToProto(const GenerateRequest& request);
// Limits are the engine's to check (ValidateGenerateRequest); here only what has no place in the plain
// struct.
absl::StatusOr<GenerateRequest> FromProto(const v1::GenerateRequest& request);

v1::Usage ToProto(const Usage& usage);
Usage FromProto(const v1::Usage& usage);

v1::FinishReason ToProto(FinishReason reason);
FinishReason FromProto(v1::FinishReason reason);

v1::Token ToProto(const TokenEvent& event);
TokenEvent FromProto(const v1::Token& token);

v1::Error ToProto(const absl::Status& status);
absl::Status FromProto(const v1::Error& error);

ModelInfo FromProto(const v1::GetModelInfoResponse& response);

}  // namespace cacheclip
