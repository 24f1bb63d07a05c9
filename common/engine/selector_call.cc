#include "common/engine/selector_call.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

SelectorAnswer NoAnswer(const char* reason, std::string detail) {
  return {.fallback = Fallback{"selector", reason, std::move(detail)}};
}

const char* ReasonOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return "selector_unavailable";
    case absl::StatusCode::kDeadlineExceeded:
      return "selector_late";
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
      return "selector_refused";
    default:
      return "selector_failed";
  }
}

}  // namespace

SelectRequest MakeSelectRequest(const Runtime& runtime, const GenerateRequest& request,
                                const PreparedPrompt& prompt, const RecomputePlan& plan) {
  SelectRequest select{.namespace_name = request.namespace_name,
                       .prefix_id = prompt.prefix->record().prefix_id,
                       .primary_fingerprint = ToHex(runtime.model->fingerprint()),
                       .question = prompt.question,
                       .method = plan.method,
                       .budget = plan.selection.budget,
                       .coverage = plan.selection.coverage,
                       .first_chunk_selectable = prompt.first_chunk_selectable};
  for (size_t i = 0; i < prompt.chunks.size(); ++i) {
    const ResolvedChunk& chunk = prompt.chunks[i];
    select.chunks.push_back({.chunk_id = chunk.key.ToHex(),
                             .text = request.chunks[i].text,
                             .title = request.chunks[i].title,
                             .num_tokens = chunk.num_tokens()});
  }
  return select;
}

SelectorAnswer AskSelector(TokenSelector* selector, const SelectRequest& request, const ContextMap& context,
                           const SelectionOptions& selection, absl::Duration timeout,
                           const CancellationToken& cancellation, Clock* clock) {
  if (selector == nullptr) return NoAnswer("selector_not_configured", "this server has no selector");
  const absl::Time deadline = std::min(cancellation.deadline(), clock->Now() + timeout);
  const CancellationToken limited(
      deadline, [cancellation] { return absl::IsCancelled(cancellation.Check()); }, clock);
  auto result = selector->Select(request, limited);
  if (!result.ok()) return NoAnswer(ReasonOf(result.status()), std::string(result.status().message()));
  const absl::Status good = CheckSelected(context, selection, result->num_context_tokens, result->indices);
  if (!good.ok()) return NoAnswer("selector_bad_answer", std::string(good.message()));
  return {.indices = std::move(result->indices), .stale_mass_share = result->stale_mass_share};
}

}  // namespace cacheclip
