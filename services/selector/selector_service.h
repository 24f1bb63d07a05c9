// cacheclip.v1.SelectorService over SelectorEngine: translates and records metrics; it decides nothing.
// Thread-safe. The parts must outlive the service.
#pragma once

#include "common/engine/selector_engine.h"
#include "common/rpc/rpc_service.h"
#include "common/telemetry/metrics.h"

namespace cacheclip {

RpcService MakeSelectorService(SelectorEngine* engine, Metrics* metrics);

}  // namespace cacheclip
