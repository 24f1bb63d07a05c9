#include "common/rpc/conversion/generation_conversion.h"

#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/rpc/remote_status.h"

namespace cacheclip {
namespace {

constexpr std::pair<FinishReason, v1::FinishReason> kFinishReasons[] = {
    {FinishReason::kStop, v1::FINISH_REASON_STOP},
    {FinishReason::kLength, v1::FINISH_REASON_LENGTH},
    {FinishReason::kStopString, v1::FINISH_REASON_STOP_STRING},
    {FinishReason::kCancelled, v1::FINISH_REASON_CANCELLED},
};

constexpr std::pair<Quality, v1::Quality> kQualities[] = {
    {Quality::kUnspecified, v1::QUALITY_UNSPECIFIED},
    {Quality::kFast, v1::QUALITY_FAST},
    {Quality::kBalanced, v1::QUALITY_BALANCED},
    {Quality::kExact, v1::QUALITY_EXACT},
};

constexpr Tier kServingTiers[] = {Tier::kMemory, Tier::kDisk, Tier::kRedis, Tier::kObject};

SamplingOptions FromProto(const v1::SamplingOptions& from) {
  SamplingOptions to;
  to.temperature = from.temperature();
  if (from.has_top_p()) to.top_p = from.top_p();
  to.top_k = from.top_k();
  if (from.has_repetition_penalty()) to.repetition_penalty = from.repetition_penalty();
  to.seed = from.seed();
  return to;
}

absl::StatusOr<Quality> FromProto(v1::Quality from) {
  for (const auto& [plain, proto] : kQualities)
    if (proto == from) return plain;
  return InvalidField("options.quality", absl::StrCat("this server knows no level ", static_cast<int>(from)));
}

absl::StatusOr<GenerateOptions> FromProto(const v1::GenerateOptions& from) {
  GenerateOptions to;
  CACHECLIP_ASSIGN_OR_RETURN(to.quality, FromProto(from.quality()));
  if (to.quality != Quality::kUnspecified && !from.method().empty())  // "auto", which the engine cannot tell
    return InvalidField("options.quality", "stands for a method, so none may be given");
  if (!from.method().empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(to.method, ParseMethod(from.method()));
  }
  if (from.has_budget()) to.budget = from.budget();
  if (from.has_coverage()) to.coverage = from.coverage();
  to.write_back = from.write_back();
  to.allow_other_prefix = from.allow_other_prefix();
  if (from.max_new_tokens() != 0) to.max_new_tokens = from.max_new_tokens();
  to.ignore_end_of_sequence = from.ignore_end_of_sequence();
  to.stop.assign(from.stop().begin(), from.stop().end());
  to.sampling = FromProto(from.sampling());
  return to;
}

absl::Status ReadInput(const v1::GenerateRequest& from, GenerateRequest& to) {
  switch (from.input_case()) {
    case v1::GenerateRequest::kMessages:
      for (const v1::ChatMessage& message : from.messages().messages())
        to.messages.push_back({message.role(), message.content()});
      return absl::OkStatus();
    case v1::GenerateRequest::kPrompt:
      to.messages.push_back({"user", from.prompt()});
      return absl::OkStatus();
    case v1::GenerateRequest::kTokenIds:
      to.token_ids.assign(from.token_ids().token_ids().begin(), from.token_ids().token_ids().end());
      return absl::OkStatus();
    case v1::GenerateRequest::INPUT_NOT_SET:
      break;
  }
  return InvalidField("messages", "one of messages, prompt and token_ids must be set");
}

absl::Status ReadChunks(const v1::GenerateRequest& from, GenerateRequest& to) {
  if (from.chunks_size() > kMaxChunksPerRequest) {
    return FieldError(absl::StatusCode::kResourceExhausted, "chunks",
                      absl::StrCat("at most ", kMaxChunksPerRequest, ", got ", from.chunks_size()));
  }
  for (const v1::ChunkInput& chunk : from.chunks()) {
    if (chunk.source_case() == v1::ChunkInput::SOURCE_NOT_SET)
      return InvalidField(absl::StrCat("chunks[", to.chunks.size(), "]"), "must have a chunk_id or a text");
    to.chunks.push_back({chunk.chunk_id(), chunk.text().text(), chunk.text().title()});
  }
  return absl::OkStatus();
}

bool IsRetryable(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kResourceExhausted ||
         code == absl::StatusCode::kAborted;
}

v1::GenerateOptions ToProto(const GenerateOptions& from) {
  v1::GenerateOptions to;
  for (const auto& [plain, proto] : kQualities)
    if (plain == from.quality) to.set_quality(proto);
  if (from.method != Method::kAuto) to.set_method(std::string(MethodId(from.method)));
  if (from.budget.has_value()) to.set_budget(*from.budget);
  if (from.coverage.has_value()) to.set_coverage(*from.coverage);
  to.set_write_back(from.write_back);
  to.set_allow_other_prefix(from.allow_other_prefix);
  to.set_max_new_tokens(from.max_new_tokens);
  to.set_ignore_end_of_sequence(from.ignore_end_of_sequence);
  for (const std::string& stop : from.stop) to.add_stop(stop);
  v1::SamplingOptions& sampling = *to.mutable_sampling();
  sampling.set_temperature(from.sampling.temperature);
  sampling.set_top_p(from.sampling.top_p);
  sampling.set_top_k(from.sampling.top_k);
  sampling.set_repetition_penalty(from.sampling.repetition_penalty);
  sampling.set_seed(from.sampling.seed);
  return to;
}

}  // namespace

v1::GenerateRequest ToProto(const GenerateRequest& from) {
  v1::GenerateRequest to;
  to.set_request_id(from.request_id);
  to.set_namespace_name(from.namespace_name);
  to.set_prefix_id(from.prefix_id);
  if (!from.token_ids.empty()) {
    to.mutable_token_ids()->mutable_token_ids()->Add(from.token_ids.begin(), from.token_ids.end());
  } else {
    to.mutable_messages();  // set, even if it is empty: the engine says what is missing
  }
  for (const ChatMessage& message : from.messages) {
    v1::ChatMessage& added = *to.mutable_messages()->add_messages();
    added.set_role(message.role);
    added.set_content(message.content);
  }
  for (const ChunkInput& chunk : from.chunks) {
    v1::ChunkInput& added = *to.add_chunks();
    if (!chunk.chunk_id.empty()) {
      added.set_chunk_id(chunk.chunk_id);
    } else {
      added.mutable_text()->set_text(chunk.text);
      added.mutable_text()->set_title(chunk.title);
    }
  }
  *to.mutable_options() = ToProto(from.options);
  return to;
}

absl::StatusOr<GenerateRequest> FromProto(const v1::GenerateRequest& from) {
  GenerateRequest to;
  to.request_id = from.request_id();
  to.namespace_name = from.namespace_name();
  to.prefix_id = from.prefix_id();
  CACHECLIP_RETURN_IF_ERROR(ReadInput(from, to));
  CACHECLIP_RETURN_IF_ERROR(ReadChunks(from, to));
  CACHECLIP_ASSIGN_OR_RETURN(to.options, FromProto(from.options()));
  return to;
}

v1::Usage ToProto(const Usage& from) {
  v1::Usage to;
  to.set_prompt_tokens(from.prompt_tokens);
  to.set_completion_tokens(from.completion_tokens);
  for (const auto& [tier, tokens] : from.cached_tokens) {
    (*to.mutable_cached_tokens_by_tier())[std::string(TierName(tier))] = tokens;
    to.set_cached_prompt_tokens(to.cached_prompt_tokens() + tokens);
  }
  to.set_reencoded_tokens(from.reencoded_tokens);
  to.set_context_tokens(from.context_tokens);
  to.set_recomputed_tokens(from.recomputed_tokens);
  to.set_charged_budget(from.charged_budget);
  if (from.estimated_divergence.has_value()) to.set_estimated_divergence(*from.estimated_divergence);
  to.set_method(std::string(MethodId(from.method)));
  for (const Fallback& fallback : from.fallbacks) {
    v1::Fallback& added = *to.add_fallbacks();
    added.set_component(fallback.component);
    added.set_reason(fallback.reason);
    added.set_detail(fallback.detail);
  }
  for (const LoadDecision& decision : from.load_decisions) {
    v1::LoadDecision& added = *to.add_load_decisions();
    added.set_decision(decision.decision);
    added.set_reason(decision.reason);
    added.set_num_chunks(decision.num_chunks);
  }
  for (const auto& [stage, duration] : from.stage_durations)
    (*to.mutable_stage_seconds())[std::string(StageName(stage))] = absl::ToDoubleSeconds(duration);
  to.set_time_to_first_token_seconds(absl::ToDoubleSeconds(from.time_to_first_token));
  return to;
}

Usage FromProto(const v1::Usage& from) {
  Usage to;
  to.prompt_tokens = from.prompt_tokens();
  to.completion_tokens = from.completion_tokens();
  for (const Tier tier : kServingTiers) {
    const auto found = from.cached_tokens_by_tier().find(std::string(TierName(tier)));
    if (found != from.cached_tokens_by_tier().end()) to.cached_tokens[tier] = found->second;
  }
  to.reencoded_tokens = from.reencoded_tokens();
  to.context_tokens = from.context_tokens();
  to.recomputed_tokens = from.recomputed_tokens();
  to.charged_budget = from.charged_budget();
  if (from.has_estimated_divergence()) to.estimated_divergence = from.estimated_divergence();
  to.method = ParseMethod(from.method()).value_or(Method::kAuto);
  for (const v1::Fallback& fallback : from.fallbacks())
    to.fallbacks.push_back({fallback.component(), fallback.reason(), fallback.detail()});
  for (const v1::LoadDecision& decision : from.load_decisions())
    to.load_decisions.push_back({decision.decision(), decision.reason(), decision.num_chunks()});
  for (const Stage stage : kAllStages) {
    const auto found = from.stage_seconds().find(std::string(StageName(stage)));
    if (found != from.stage_seconds().end()) to.stage_durations[stage] = absl::Seconds(found->second);
  }
  to.time_to_first_token = absl::Seconds(from.time_to_first_token_seconds());
  return to;
}

v1::FinishReason ToProto(FinishReason reason) {
  for (const auto& [plain, proto] : kFinishReasons)
    if (plain == reason) return proto;
  return v1::FINISH_REASON_UNSPECIFIED;
}

FinishReason FromProto(v1::FinishReason reason) {
  for (const auto& [plain, proto] : kFinishReasons)
    if (proto == reason) return plain;
  return FinishReason::kStop;
}

v1::Token ToProto(const TokenEvent& event) {
  v1::Token token;
  token.set_text(event.text);
  token.set_token_id(event.token_id);
  token.set_log_probability(event.log_probability);
  return token;
}

TokenEvent FromProto(const v1::Token& token) {
  return {token.text(), token.token_id(), token.log_probability()};
}

v1::Error ToProto(const absl::Status& status) {
  v1::Error error;
  error.set_code(static_cast<int>(status.code()));
  error.set_message(std::string(status.message()));
  error.set_retryable(IsRetryable(status.code()));
  error.set_field(FieldOf(status));
  return error;
}

absl::Status FromProto(const v1::Error& error) {
  return RemoteStatus(error.code(), error.message(), error.field());
}

ModelInfo FromProto(const v1::GetModelInfoResponse& from) {
  ModelInfo to;
  to.model_name = from.model_name();
  to.family = from.family();
  to.compute_dtype = from.compute_dtype();
  to.kv_dtype = from.kv_dtype();
  to.num_parameters = from.num_parameters();
  to.num_layers = from.num_layers();
  to.max_positions = from.max_positions();
  to.model_fingerprint = from.model_fingerprint();
  to.tokenizer_fingerprint = from.tokenizer_fingerprint();
  to.chunk_format_version = from.chunk_format_version();
  to.kv_bytes_per_token = from.kv_bytes_per_token();
  for (const v1::MethodDescription& method : from.methods())
    to.methods.emplace_back(method.id(), method.summary());
  to.has_selector = from.has_selector();
  to.server_version = from.server_version();
  return to;
}

}  // namespace cacheclip
