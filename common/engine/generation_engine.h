// Generation, free of transport. One call answers one request:
//   admit → resolve and load chunks (misses are encoded alone behind the prefix) → select → assemble,
//   recompute and question in one pass → decode round-robin with the other requests → stream.
// A selector or store that fails or is late never fails the request: it falls back (auxiliary →
// primary_probe; late chunks → encoded anew, or full prefill where that ends sooner) and says so in the
// usage. A store costs at most the bound of common/engine/load_planner.h. Thread-safe: each request runs on
// its caller's thread, model work on the executor. docs/life-of-a-request.md follows one call through this
// file.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/engine/generate_request.h"
#include "common/engine/token_selector.h"
#include "common/ingest/prefix_context.h"
#include "common/model/scoring/scoring.h"
#include "common/select/divergence.h"
#include "common/select/quality.h"
#include "common/select/selection.h"

namespace cacheclip {

struct GenerationEngineOptions {
  int max_waiting_requests = 64;                       // beyond: RESOURCE_EXHAUSTED
  int max_running_requests = 8;                        // admitted at once
  int64_t max_kv_bytes = int64_t{4} << 30;             // of all admitted requests' sessions
  absl::Duration selector_timeout = absl::Seconds(2);  // then primary_probe
  absl::Duration default_deadline = absl::Seconds(120);
  absl::Duration load_timeout = absl::Seconds(10);  // longest wait for a stored chunk; mostly much less
  int64_t max_put_back_bytes = int64_t{256} << 20;  // encoded chunks that wait to be stored
  ScoringHeads probe;                               // whose attention primary_probe looks at
  LocalHeads local_heads;                           // of the primary; may be none
  SelectionOptions selection;                       // grouping, window, seam tokens
  QualityLevels quality_levels;                     // what requests get that ask for a quality
  double divergence_per_stale_mass = kDefaultDivergencePerStaleMass;  // of the model
  std::string
      reason_against_reuse;  // if not empty: every request is prefilled in full, and its usage says why
};

// What the observers of a request learn; called on the request's thread.
struct GenerateCallbacks {
  std::function<void(const std::string& request_id)>
      on_accepted;                                          // exactly once, after validation and admission
  std::function<absl::Status(const TokenEvent&)> on_token;  // an error ends the request (the client is gone)
};

struct EngineLoad {
  int num_running = 0, num_waiting = 0;
  int64_t kv_bytes_reserved = 0, max_kv_bytes = 0;
};

class GenerationEngine {
 public:
  // `selector` may be null: then `auto` means primary_probe and `auxiliary` falls back.
  GenerationEngine(PrefixContexts* contexts, TokenSelector* selector, GenerationEngineOptions options);
  ~GenerationEngine();

  // Runs one request to its end. Errors before on_accepted are the caller's to report as a status, later ones
  // as the terminal event. INVALID_ARGUMENT / NOT_FOUND name the field; ALREADY_EXISTS for a request id that
  // is running. CANCELLED and DEADLINE_EXCEEDED come from `cancellation`; a request ended by Abort() after
  // on_accepted has a result, kCancelled.
  absl::StatusOr<GenerateResult> Generate(const GenerateRequest& request,
                                          const CancellationToken& cancellation,
                                          const GenerateCallbacks& callbacks);

  // Measures what computing costs here, so that the first request need not. Before requests come.
  void WarmUp();

  // Cancels a running request. NOT_FOUND if there is none of that id.
  absl::Status Abort(const std::string& request_id);

  EngineLoad load() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cacheclip
