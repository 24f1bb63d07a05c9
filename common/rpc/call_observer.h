// Decorators of every served call, stacked in one place: a log line (method, code, milliseconds, x-request-id
// and traceparent of the caller) and metrics (calls by method and code, seconds by method). Installed by
// RpcServer as a gRPC interceptor, so that no service knows of it. Thread-safe.
#pragma once

#include <memory>
#include <vector>

#include <grpcpp/support/server_interceptor.h>

#include "common/telemetry/metrics.h"

namespace cacheclip {

// `metrics` may be null; it must outlive the server.
std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> MakeCallObservers(
    Metrics* metrics);

}  // namespace cacheclip
