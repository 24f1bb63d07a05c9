// HTTP for Prometheus: GET /metrics answers Metrics::Text(). Listens on loopback unless told otherwise; stops
// when destroyed. Thread-safe. The metrics must outlive it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/telemetry/metrics.h"

namespace cacheclip {

class MetricsEndpoint {
 public:
  // `port` 0 = any free one. UNAVAILABLE naming address and port if it cannot listen.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(const std::string& address, int port,
                                                                Metrics* metrics);
  ~MetricsEndpoint();

  int port() const { return port_; }

 private:
  class Impl;
  MetricsEndpoint(std::unique_ptr<Impl> impl, int port);
  std::unique_ptr<Impl> impl_;
  int port_;
};

}  // namespace cacheclip
