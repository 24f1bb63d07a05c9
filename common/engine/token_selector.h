// The seam to the auxiliary model: generation asks which context tokens to recompute, somebody answers.
// SelectorEngine answers in this process, common/rpc's client asks a selector service; both behind this
// interface, injected by main. Implementations are thread-safe and honour the deadline. Any error makes the
// caller fall back, never fail.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/select/method.h"
#include "common/select/quality.h"

namespace cacheclip {

struct SelectChunk {
  std::string chunk_id;     // key of the chunk's primary KV in hex; always set
  std::string text, title;  // set when the chunk was given by text: it may not be in the catalogue
  int32_t num_tokens = 0;   // primary tokens
};

struct SelectRequest {
  std::string namespace_name, prefix_id;
  std::string
      primary_fingerprint;  // hex; the selector refuses another model's positions (FAILED_PRECONDITION)
  std::vector<SelectChunk> chunks;
  std::string question;
  Method method = Method::kAuxiliary;  // kAuxiliary or kAuxiliaryPaper
  double budget = kDefaultBudget;
  double coverage = 1;  // SelectionOptions::coverage
  bool first_chunk_selectable = false;
};

struct SelectResult {
  std::vector<int32_t> indices;  // sorted; primary tokens, counted from the first chunk's first token
  int32_t num_context_tokens = 0;
  std::optional<double>
      stale_mass_share;        // 0 … 1, see common/select/divergence.h; an older selector has none
  std::string auxiliary_name;  // which model scored
  absl::Duration load_duration, score_duration;
};

class TokenSelector {
 public:
  virtual ~TokenSelector() = default;
  virtual absl::StatusOr<SelectResult> Select(const SelectRequest& request,
                                              const CancellationToken& cancellation) = 0;
};

}  // namespace cacheclip
