// EngineHarness with a GenerationEngine and an ingested article: what tests of whole requests start from. One
// test at a time; the engine may be used by several threads of that test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/engine/generation_engine.h"
#include "tests/support/engine_harness.h"

namespace cacheclip {

struct GenerateHarness {
  explicit GenerateHarness(TokenSelector* selector = nullptr, GenerationEngineOptions options = {},
                           Clock* clock = RealClock(), std::optional<KvDtype> kv_dtype = {})
      : server(TinyModel(), clock, kv_dtype),
        ids(server.IngestChunkIds()),
        engine(&server.contexts, selector, options) {}

  GenerateRequest Request(Method method = Method::kPrimaryProbe, double budget = 0.2) const {
    GenerateRequest request{.namespace_name = "docs", .messages = {{"user", "Who keeps the bees?"}}};
    for (const std::string& id : ids) request.chunks.push_back({.chunk_id = id});
    request.options = {
        .method = method, .budget = budget, .max_new_tokens = 8, .ignore_end_of_sequence = true};
    return request;
  }
  absl::StatusOr<GenerateResult> Generate(const GenerateRequest& request) {
    return engine.Generate(request, CancellationToken(), {});
  }
  absl::StatusOr<GenerateResult> Generate(Method method, double budget = 0.2) {
    return Generate(Request(method, budget));
  }

  EngineHarness server;
  std::vector<std::string> ids;
  GenerationEngine engine;
};

}  // namespace cacheclip
