// absl::Status to grpc::Status and back. Codes map one to one. The field an error names travels in trailing
// metadata (kFieldMetadataKey) and stays in the message, so that a caller without the metadata reads it as
// well. For common/rpc and *_service.cc only: includes gRPC. Thread-safe.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "common/base/cancellation.h"

namespace cacheclip {

inline constexpr char kFieldMetadataKey[] = "cacheclip-field";

// `context` may be null: then the field is in the message alone. Non-ASCII bytes of the message are kept.
grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase* context);

// `context` after the call has finished.
absl::Status FromGrpcStatus(const grpc::Status& status, const grpc::ClientContext& context);

// The same plus the service's own clock and poll flag: cancelled when the client goes or its deadline passes.
// `context` must outlive the token.
CancellationToken CancellationOf(const grpc::ServerContextBase& context);

}  // namespace cacheclip
