// cacheclip.v1.IngestionService over IngestionBackend: translates, streams progress, records metrics; it
// decides nothing. Thread-safe. The parts must outlive the service.
#pragma once

#include "common/rpc/rpc_service.h"
#include "common/telemetry/metrics.h"
#include "services/ingestion/ingestion_backend.h"

namespace cacheclip {

RpcService MakeIngestionService(IngestionBackend* backend, Metrics* metrics);

}  // namespace cacheclip
