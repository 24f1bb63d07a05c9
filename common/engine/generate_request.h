// What generation is asked and what it answers, free of transport types. Limits have names;
// ValidateGenerateRequest() names the field that breaks one. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/model/sampler.h"
#include "common/select/method.h"
#include "common/select/quality.h"
#include "common/store/chunk_store.h"
#include "common/telemetry/stage.h"
#include "common/text/chat_template.h"

namespace cacheclip {

inline constexpr int kMaxChunksPerRequest = 1024;
inline constexpr int kMaxStopStrings = 16;
inline constexpr int kMaxStopStringBytes = 256;
inline constexpr int kMaxRequestIdBytes = 128;
inline constexpr int64_t kMaxChunkInputBytes = int64_t{1} << 20;  // one chunk given by text

// A chunk by id (from ingestion) or by text; exactly one is set.
struct ChunkInput {
  std::string chunk_id;
  std::string text, title;
};

struct GenerateOptions {
  Quality quality = Quality::kUnspecified;  // else in place of the next three, none of which is then given
  Method method = Method::kAuto;
  std::optional<double> budget;     // 0 … 1, charged; absent: kDefaultBudget
  std::optional<double> coverage;   // SelectionOptions::coverage; absent: 1, the budget is spent
  bool write_back = false;          // store chunks given by text
  bool allow_other_prefix = false;  // serve chunks of another prefix of the namespace
  int32_t max_new_tokens = 256;
  bool ignore_end_of_sequence = false;  // benchmarks
  std::vector<std::string> stop;
  SamplingOptions sampling;
};

struct GenerateRequest {
  std::string request_id;  // "" = the server makes one
  std::string namespace_name, prefix_id;
  std::vector<ChatMessage>
      messages;                    // the last user message is the question; a last assistant one is continued
  std::vector<int32_t> token_ids;  // instead of messages: stand behind the chunks as they are, all score
  std::vector<ChunkInput> chunks;
  GenerateOptions options;
};

enum class FinishReason { kStop, kLength, kStopString, kCancelled };
std::string_view FinishReasonName(FinishReason reason);  // "stop", "length", "stop_string", "cancelled"

struct Fallback {
  std::string component;  // "selector", "store", "method"
  std::string reason;     // stable snake_case: "selector_unavailable", "chunk_corrupt", …
  std::string detail;     // for people
};

// How many chunks were taken how, and why: "load" ("in_memory", "load_faster", "slow_tier" = not asked of
// every tier, "unmeasured"), "encode" ("missing", "damaged", "unavailable", "late", "slow_tier") or
// "full_prefill" (with the reason of the chunk that was the trouble).
struct LoadDecision {
  std::string decision, reason;
  int64_t num_chunks = 0;
};

struct Usage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
  std::map<Tier, int64_t>
      cached_tokens;              // chunk and prefix tokens served from each tier; kComputed never appears
  int64_t reencoded_tokens = 0;   // chunk tokens that had to be encoded anew (misses)
  int64_t context_tokens = 0;     // all chunk tokens
  int64_t recomputed_tokens = 0;  // chunk tokens computed fresh in context
  double charged_budget = 0;      // fresh layer-tokens ÷ reusable layer-tokens
  std::optional<double> estimated_divergence;  // nats per token, see common/select/divergence.h
  Method method = Method::kAuto;               // what ran in the end; never kAuto
  std::vector<Fallback> fallbacks;
  std::vector<LoadDecision> load_decisions;
  std::map<Stage, absl::Duration> stage_durations;
  absl::Duration time_to_first_token;
};

struct TokenEvent {
  std::string text;  // may be empty while a character is incomplete
  int32_t token_id = 0;
  float log_probability = 0;
};

struct GenerateResult {
  FinishReason finish_reason = FinishReason::kStop;
  Usage usage;
  std::vector<int32_t> token_ids;
  std::string text;
};

// What is to be recomputed, levels of quality looked up in `levels`. `options` have been validated.
SelectionDemand DemandOf(const GenerateOptions& options, const QualityLevels& levels);

// INVALID_ARGUMENT naming the field ("chunks[3].chunk_id", "options.budget", "messages", …);
// RESOURCE_EXHAUSTED naming the field and its limit. The text of messages is checked by
// PromptLayout::Suffix().
absl::Status ValidateGenerateRequest(const GenerateRequest& request);

}  // namespace cacheclip
