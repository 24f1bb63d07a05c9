// Asks a server whether it serves, by grpc.health.v1: for probes (`cacheclip health`) of containers, compose
// and Kubernetes. One call with its own deadline; never waits for a server to come up. Thread-safe: a
// function.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/rpc/channel.h"

namespace cacheclip {

// `service`: one name as in RpcService, or "" for the process as a whole. OK while it serves; UNAVAILABLE
// when it does not (draining, not ready) or cannot be reached; NOT_FOUND for a service this server does not
// have.
absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service,
                         absl::Duration timeout);

}  // namespace cacheclip
