// How generation and ingestion reach a selector service, and what generation publishes about its load.
// Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/engine/generation_engine.h"
#include "common/rpc/selector_client.h"
#include "common/telemetry/metrics.h"
#include "services/runtime/config.h"

namespace cacheclip {

// A client that is not connected yet: for a server that calls itself and learns its port late.
std::unique_ptr<RpcTokenSelector> MakeSelectorLink(const Config& config);

// Points the client to `target`, by TLS if selector_tls_ca is set.
absl::Status ConnectTo(RpcTokenSelector& selector, const Config& config, const std::string& target);

// A client of selector_target; null where none is configured or selector is off.
absl::StatusOr<std::unique_ptr<RpcTokenSelector>> ConnectSelector(const Config& config);

// The engine's queue and KV use as gauges. The engine must outlive the last scrape.
void PublishLoad(const GenerationEngine& engine, Metrics& metrics);

}  // namespace cacheclip
