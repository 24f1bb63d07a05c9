#include "common/engine/decode_loop.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"

namespace cacheclip {

DecodeLoop::DecodeLoop(InferenceSession* session, SerialExecutor* executor,
                       std::shared_ptr<const Tokenizer> tokenizer, const GenerateOptions& options,
                       std::vector<int32_t> context_ids)
    : session_(session),
      executor_(executor),
      options_(options),
      sampler_(options.sampling),
      decoder_(std::move(tokenizer), /*skip_special=*/true),
      stop_filter_(options.stop),
      context_ids_(std::move(context_ids)) {}

absl::StatusOr<FinishReason> DecodeLoop::Run(Logits logits, const CancellationToken& cancellation,
                                             const TokenCallback& on_token, GenerateResult& result) {
  for (int32_t count = 1;; ++count) {
    CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
    const SampledToken token = sampler_.Sample(logits, context_ids_);
    context_ids_.push_back(token.id);
    const bool ends = EndsSequence(token.id), is_full = count >= options_.max_new_tokens;
    TokenEvent event{.token_id = token.id, .log_probability = token.log_probability};
    CACHECLIP_RETURN_IF_ERROR(AppendText(token.id, ends || is_full, event));
    result.token_ids.push_back(token.id);
    result.text += event.text;
    ++result.usage.completion_tokens;
    if (on_token) CACHECLIP_RETURN_IF_ERROR(on_token(event));
    if (stop_filter_.stopped()) return FinishReason::kStopString;
    if (ends) return FinishReason::kStop;
    if (is_full) return FinishReason::kLength;
    CACHECLIP_ASSIGN_OR_RETURN(logits, Step(token.id, cancellation));
  }
}

bool DecodeLoop::EndsSequence(int32_t token) const {
  const auto& ends = session_->model().config().end_of_sequence_ids;
  return !options_.ignore_end_of_sequence && std::ranges::find(ends, token) != ends.end();
}

absl::Status DecodeLoop::AppendText(int32_t token, bool is_last, TokenEvent& event) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::string text, decoder_.Push(token));
  event.text = stop_filter_.Push(text);
  if (!is_last) return absl::OkStatus();
  CACHECLIP_ASSIGN_OR_RETURN(const std::string rest, decoder_.Flush());
  event.text += stop_filter_.Push(rest);
  if (!stop_filter_.stopped()) event.text += stop_filter_.Flush();
  return absl::OkStatus();
}

absl::StatusOr<Logits> DecodeLoop::Step(int32_t token, const CancellationToken& cancellation) {
  absl::StatusOr<Logits> logits = absl::InternalError("not run");
  executor_->Run(TaskPriority::kInteractive, [&] { logits = session_->Decode(token, cancellation); });
  return logits;
}

}  // namespace cacheclip
