// cacheclip.v1.GenerationService over GenerationEngine: translates requests, events and errors, and records
// metrics; it decides nothing. Thread-safe. The parts must outlive the service.
#pragma once

#include <string>

#include "common/engine/generation_engine.h"
#include "common/ingest/prefix_context.h"
#include "common/rpc/rpc_service.h"
#include "common/telemetry/metrics.h"

namespace cacheclip {

struct GenerationServiceParts {
  GenerationEngine* engine = nullptr;
  const Runtime* runtime = nullptr;  // model and tokenizer, for Tokenize and GetModelInfo
  Metrics* metrics = nullptr;
  bool has_selector = false;
  std::string server_version;
};

RpcService MakeGenerationService(const GenerationServiceParts& parts);

}  // namespace cacheclip
