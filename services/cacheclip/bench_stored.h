// A generation engine over a context that is stored for the benchmark alone, in this process: the selector
// answers over gRPC on loopback, the stores live in a folder that is removed again. One thread.
//
//   CACHECLIP_ASSIGN_OR_RETURN(const auto stored, StoredContext::Open(config, {.context_tokens = 4096}));
//   CACHECLIP_ASSIGN_OR_RETURN(const MeasuredMethod run, stored->Measure(Method::kAuto, 0.2, 3));
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/engine/generate_request.h"
#include "common/engine/generation_engine.h"
#include "common/model/language_model.h"
#include "common/rpc/rpc_server.h"
#include "common/select/method.h"
#include "services/cacheclip/bench.h"
#include "services/runtime/config.h"
#include "services/runtime/selector_link.h"
#include "services/runtime/service_runtime.h"

namespace cacheclip {

struct StoredContextOptions {
  int context_tokens = 4096;
  int chunk_tokens = 512;
};

// Medians over the repeats of one method.
struct MeasuredMethod {
  double seconds = 0;                                // to the first token
  double fastest_seconds = 0, slowest_seconds = 0;   // of the repeats
  Usage usage;                                       // of the last repeat
  nlohmann::json stages = nlohmann::json::object();  // stage name -> seconds, decode left out
};

class StoredContext {
 public:
  // Encodes and stores the context.
  static absl::StatusOr<std::unique_ptr<StoredContext>> Open(Config config,
                                                             const StoredContextOptions& options);
  ~StoredContext();

  // `repeat` times after a first time that does not count.
  absl::StatusOr<MeasuredMethod> Measure(Method method, double budget, int repeat);

  const LanguageModel& model() const { return *primary_->runtime().model; }
  PromptShape ShapeOf(const Usage& usage) const;

 private:
  StoredContext() = default;
  absl::Status Start(Config config, const StoredContextOptions& options);

  std::string folder_;
  std::unique_ptr<ServiceRuntime> runtime_;
  PrefixContexts* primary_ = nullptr;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<RpcTokenSelector> selector_;
  std::optional<GenerationEngine> engine_;
  GenerateRequest request_;
};

}  // namespace cacheclip
