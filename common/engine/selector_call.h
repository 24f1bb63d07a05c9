// One question to the selector, and whether its answer may be trusted. Whatever goes wrong (an error, a late
// answer, a wrong one) comes back as a Fallback for the usage record, never as an error: the caller plans
// another method. Thread-safe if the selector is; blocks at most until the timeout plus the selector's own
// delay in noticing it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/engine/generate_request.h"
#include "common/engine/planner.h"
#include "common/engine/prompt_builder.h"
#include "common/engine/token_selector.h"
#include "common/select/context_map.h"

namespace cacheclip {

// What a selector is asked about a planned request.
SelectRequest MakeSelectRequest(const Runtime& runtime, const GenerateRequest& request,
                                const PreparedPrompt& prompt, const RecomputePlan& plan);

struct SelectorAnswer {
  std::vector<int32_t> indices;  // checked
  std::optional<double> stale_mass_share;
  std::optional<Fallback> fallback;  // set: there is no answer, and why
};

// `selector` may be null ("selector_not_configured"). The other reasons: "selector_unavailable",
// "selector_late", "selector_refused" (another model, no such method), "selector_failed",
// "selector_bad_answer".
SelectorAnswer AskSelector(TokenSelector* selector, const SelectRequest& request, const ContextMap& context,
                           const SelectionOptions& selection, absl::Duration timeout,
                           const CancellationToken& cancellation, Clock* clock);

}  // namespace cacheclip
