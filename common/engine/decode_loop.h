// From the prompt's last logits to the end of the answer: sample, say so, run one token, again. Each step is
// a task of its own on the executor, so that requests running at once take turns. Ends at an end-of-sequence
// token, a stop string, max_new_tokens, or with the error of a cancelled token or of `on_token`. Every token
// gets one event, the one that ends the sequence included (its text is what was still held back). Runs on the
// request's thread; one object per request.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/base/serial_executor.h"
#include "common/engine/generate_request.h"
#include "common/engine/stop_filter.h"
#include "common/model/inference_session.h"
#include "common/model/sampler.h"
#include "common/text/tokenizer.h"

namespace cacheclip {

class DecodeLoop {
 public:
  // `context_ids`: the prompt's tokens, for the repetition penalty. `session` and `executor` must outlive the
  // loop.
  DecodeLoop(InferenceSession* session, SerialExecutor* executor, std::shared_ptr<const Tokenizer> tokenizer,
             const GenerateOptions& options, std::vector<int32_t> context_ids);

  // `logits` are the prompt's; appends tokens and text to `result`, also when it ends with an error.
  // `on_token` is called for each token, on this thread.
  using TokenCallback = std::function<absl::Status(const TokenEvent&)>;
  absl::StatusOr<FinishReason> Run(Logits logits, const CancellationToken& cancellation,
                                   const TokenCallback& on_token, GenerateResult& result);

 private:
  bool EndsSequence(int32_t token) const;
  absl::Status AppendText(int32_t token, bool is_last, TokenEvent& event);
  absl::StatusOr<Logits> Step(int32_t token, const CancellationToken& cancellation);

  InferenceSession* session_;
  SerialExecutor* executor_;
  const GenerateOptions& options_;
  Sampler sampler_;
  StreamDecoder decoder_;
  StopFilter stop_filter_;
  std::vector<int32_t> context_ids_;
};

}  // namespace cacheclip
