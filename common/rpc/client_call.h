// What the clients of this folder share: a call's context with deadline and trace metadata. Includes gRPC;
// for common/rpc only.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "absl/time/time.h"

namespace cacheclip {

// No deadline for absl::InfiniteFuture().
inline void SetDeadline(grpc::ClientContext& context, absl::Time deadline) {
  if (deadline != absl::InfiniteFuture()) context.set_deadline(absl::ToChronoTime(deadline));
}

}  // namespace cacheclip
