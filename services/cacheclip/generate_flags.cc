#include "services/cacheclip/generate_flags.h"

#include <cstdio>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/rpc/generation_client.h"

namespace cacheclip {

void AddGenerateFlags(CLI::App& app, GenerateFlags* flags) {
  AddClientOptions(app, &flags->client);
  GenerateOptions& options = flags->options;
  app.add_option("QUESTION", flags->question, "the user's words")->required();
  app.add_option(
      "--quality", flags->quality,
      "how close to full prefill, in place of --method, --budget and --coverage: " + KnownQualityIds());
  app.add_option("--method", flags->method, "how tokens to recompute are chosen: " + KnownMethodIds())
      ->capture_default_str();
  app.add_option("--budget", options.budget, "share of chunk tokens to recompute, 0 to 1 (default 0.2)");
  app.add_option("--coverage", options.coverage,
                 "recompute no more than what holds this share of the scores, above 0 to 1 (default 1)");
  app.add_option("--max-new-tokens", options.max_new_tokens, "longest answer")->capture_default_str();
  app.add_option("--answer-start", flags->answer_start, "words that the answer begins with");
  app.add_option("--stop", options.stop, "end the answer before this text (repeatable)");
  app.add_option("--temperature", options.sampling.temperature, "0: greedy")->capture_default_str();
  app.add_option("--top-p", options.sampling.top_p)->capture_default_str();
  app.add_option("--top-k", options.sampling.top_k, "0: all")->capture_default_str();
  app.add_option("--repetition-penalty", options.sampling.repetition_penalty)->capture_default_str();
  app.add_option("--seed", options.sampling.seed)->capture_default_str();
  app.add_option("--deadline", flags->deadline_seconds, "seconds; 0: the server's default");
  app.add_flag("--profile", flags->profile, "say how long each stage took (docs/profiling.md)");
  app.add_option("--request-id", flags->request_id, "refused while a request of that id runs");
}

absl::StatusOr<GenerateRequest> MakeRequest(const GenerateFlags& flags) {
  GenerateRequest request;
  request.request_id = flags.request_id;
  request.namespace_name = flags.client.namespace_name;
  request.messages = {{"user", flags.question}};
  if (!flags.answer_start.empty()) request.messages.push_back({"assistant", flags.answer_start});
  request.options = flags.options;
  CACHECLIP_ASSIGN_OR_RETURN(request.options.method, ParseMethod(flags.method));
  if (!flags.quality.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(request.options.quality, ParseQuality(flags.quality));
  }
  return request;
}

absl::StatusOr<GenerateResult> CallGenerate(const GenerateFlags& flags, const GenerateRequest& request,
                                            bool stream) {
  CACHECLIP_ASSIGN_OR_RETURN(auto channel, Connect(flags.client));
  GenerationClient client(std::move(channel));
  GenerateStreamCallbacks callbacks;
  if (stream) {
    callbacks.on_token = [](const TokenEvent& token) {
      std::fputs(token.text.c_str(), stdout);
      std::fflush(stdout);
    };
  }
  const absl::Time deadline = flags.deadline_seconds > 0 ? absl::Now() + absl::Seconds(flags.deadline_seconds)
                                                         : absl::InfiniteFuture();
  absl::StatusOr<GenerateResult> result = client.Generate(request, CancellationToken(deadline), callbacks);
  if (stream) {
    std::fputs("\n", stdout);
    std::fflush(stdout);  // before what stderr says about it
  }
  return result;
}

}  // namespace cacheclip
