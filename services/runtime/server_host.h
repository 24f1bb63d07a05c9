// Runs services until a signal: gRPC and /metrics up, one line on stdout when ready, drain on SIGTERM or
// SIGINT. The line: "NAME listening on 127.0.0.1:50051, metrics on http://127.0.0.1:9464/metrics"; with
// `json`, one object
// {"name", "address", "port", "metrics_port"}. Used by one thread, main's; BlockShutdownSignals() comes
// first.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/rpc_server.h"
#include "common/rpc/rpc_service.h"
#include "common/store/write_back_queue.h"
#include "common/telemetry/metrics.h"
#include "common/telemetry/metrics_endpoint.h"
#include "services/runtime/config.h"
#include "services/runtime/readiness_watch.h"

namespace cacheclip {

RpcServerOptions ServerOptions(const Config& config, Metrics* metrics);

class ServerHost {
 public:
  // Both ports are bound when this returns.
  static absl::StatusOr<std::unique_ptr<ServerHost>> Start(const Config& config, Metrics* metrics,
                                                           std::vector<RpcService> services);

  RpcServer& server() { return *server_; }

  // From now on health answers by service name follow `check`, which the catalogue's state decides; the
  // answer for "" does not. For readiness probes; call before Run().
  void WatchReadiness(ReadinessWatch::Check check);

  // What is queued for remote tiers is written after the drain, within what is left of drain_seconds. Null:
  // no queue. It must outlive Run(), which comes later.
  void FlushOnExit(WriteBackQueue* queue) { write_back_ = queue; }

  // Announces, waits for a signal, drains. Returns when everything has ended.
  void Run(const std::string& name, bool json);

 private:
  ServerHost() = default;
  absl::Duration drain_;
  std::vector<std::string> service_names_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<MetricsEndpoint> metrics_;  // null if switched off
  WriteBackQueue* write_back_ = nullptr;
  std::unique_ptr<ReadinessWatch> readiness_;  // null if nothing is watched
};

}  // namespace cacheclip
