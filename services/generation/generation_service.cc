#include "services/generation/generation_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "cacheclip/v1/generation.grpc.pb.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/kv/chunk_format.h"
#include "common/rpc/conversion/generation_conversion.h"
#include "common/rpc/status_mapping.h"

namespace cacheclip {
namespace {

using EventWriter = grpc::ServerWriter<v1::GenerateResponse>;

GenerationRecord RecordOf(const GenerateResult& result, const GenerateRequest& request,
                          absl::Duration duration) {
  const Usage& usage = result.usage;
  GenerationRecord record;
  record.finish_reason = std::string(FinishReasonName(result.finish_reason));
  record.method = std::string(MethodId(usage.method));
  record.prompt_tokens = usage.prompt_tokens;
  record.completion_tokens = usage.completion_tokens;
  record.context_tokens = usage.context_tokens;
  record.recomputed_tokens = usage.recomputed_tokens;
  record.reencoded_tokens = usage.reencoded_tokens;
  for (const LoadDecision& decision : usage.load_decisions)
    record.load_decisions.push_back({decision.decision, decision.reason, decision.num_chunks});
  record.num_chunks = static_cast<int64_t>(request.chunks.size());
  for (const auto& [tier, tokens] : usage.cached_tokens)
    record.cached_tokens[std::string(TierName(tier))] = tokens;
  for (const auto& [stage, time] : usage.stage_durations)
    record.stage_durations[std::string(StageName(stage))] = time;
  for (const Fallback& fallback : usage.fallbacks)
    record.fallbacks.push_back({fallback.component, fallback.reason});
  record.estimated_divergence = usage.estimated_divergence;
  record.time_to_first_token = usage.time_to_first_token;
  record.duration = duration;
  return record;
}

// Streams one request's events and remembers whether it was accepted.
class EventStream {
 public:
  EventStream(EventWriter* writer, Metrics* metrics) : writer_(writer), metrics_(metrics) {}

  void Accept(const std::string& request_id) {
    accepted_ = true;
    v1::GenerateResponse event;
    event.mutable_accepted()->set_request_id(request_id);
    writer_->Write(event);  // a client that is gone shows at the first token
  }

  absl::Status Send(const TokenEvent& token) {
    const absl::Time now = absl::Now();
    if (last_token_.has_value()) metrics_->RecordTokenInterval(now - *last_token_);
    last_token_ = now;
    v1::GenerateResponse event;
    *event.mutable_token() = ToProto(token);
    return writer_->Write(event) ? absl::OkStatus() : absl::CancelledError("the client is gone");
  }

  void Finish(const GenerateResult& result) {
    v1::GenerateResponse event;
    event.mutable_finished()->set_finish_reason(ToProto(result.finish_reason));
    *event.mutable_finished()->mutable_usage() = ToProto(result.usage);
    event.mutable_finished()->set_text(result.text);
    writer_->Write(event);
  }

  // Before acceptance the error is the call's status, afterwards its terminal event.
  grpc::Status Fail(const absl::Status& status, grpc::ServerContext* context) {
    if (!accepted_) return ToGrpcStatus(status, context);
    v1::GenerateResponse event;
    *event.mutable_error() = ToProto(status);
    writer_->Write(event);
    return grpc::Status::OK;
  }

 private:
  EventWriter* const writer_;
  Metrics* const metrics_;
  bool accepted_ = false;
  std::optional<absl::Time> last_token_;
};

absl::StatusOr<CancellationToken> CancellationFor(const v1::GenerateRequest& request,
                                                  const grpc::ServerContext& context) {
  const CancellationToken call = CancellationOf(context);
  const double seconds = request.options().deadline_seconds();
  if (seconds == 0) return call;
  if (!(seconds > 0)) return InvalidField("options.deadline_seconds", "must not be negative");
  return CancellationToken(std::min(call.deadline(), absl::Now() + absl::Seconds(seconds)),
                           [&context] { return context.IsCancelled(); });
}

class Service final : public v1::GenerationService::Service {
 public:
  explicit Service(const GenerationServiceParts& parts) : parts_(parts) {}

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        EventWriter* writer) override {
    const absl::Time start = absl::Now();
    EventStream events(writer, parts_.metrics);
    const absl::StatusOr<GenerateRequest> plain = FromProto(*request);
    if (!plain.ok()) return Fail(plain.status(), events, context);
    const absl::StatusOr<CancellationToken> cancellation = CancellationFor(*request, *context);
    if (!cancellation.ok()) return Fail(cancellation.status(), events, context);
    const GenerateCallbacks callbacks{
        .on_accepted = [&events](const std::string& id) { events.Accept(id); },
        .on_token = [&events](const TokenEvent& token) { return events.Send(token); }};
    const absl::StatusOr<GenerateResult> result = parts_.engine->Generate(*plain, *cancellation, callbacks);
    if (!result.ok()) return Fail(result.status(), events, context);
    parts_.metrics->RecordGeneration(RecordOf(*result, *plain, absl::Now() - start));
    events.Finish(*result);
    return grpc::Status::OK;
  }

  grpc::Status Tokenize(grpc::ServerContext* context, const v1::TokenizeRequest* request,
                        v1::TokenizeResponse* response) override {
    const absl::StatusOr<Encoding> encoding =
        parts_.runtime->tokenizer->Encode(request->text(), Tokenizer::SpecialTokens::kAsText);
    if (!encoding.ok()) return ToGrpcStatus(WithContext(encoding.status(), "text"), context);
    response->mutable_token_ids()->Add(encoding->ids.begin(), encoding->ids.end());
    for (const TokenSpan& span : encoding->spans) {
      response->add_begin_bytes(span.begin);
      response->add_end_bytes(span.end);
    }
    return grpc::Status::OK;
  }

  grpc::Status GetModelInfo(grpc::ServerContext*, const v1::GetModelInfoRequest*,
                            v1::GetModelInfoResponse* response) override {
    const LanguageModel& model = *parts_.runtime->model;
    response->set_model_name(model.name());
    response->set_family(model.config().family);
    response->set_compute_dtype(std::string(ComputeDtypeName(model.options().dtype)));
    response->set_num_parameters(model.config().num_parameters());
    response->set_num_layers(model.num_layers());
    response->set_max_positions(model.config().max_positions);
    response->set_model_fingerprint(ToHex(model.fingerprint()));
    response->set_tokenizer_fingerprint(ToHex(parts_.runtime->tokenizer->fingerprint()));
    response->set_chunk_format_version(kChunkFormatVersion);
    const KvShape chunk_shape = parts_.runtime->chunk_shape();
    response->set_kv_bytes_per_token(chunk_shape.BytesPerToken());
    response->set_kv_dtype(std::string(KvDtypeName(chunk_shape.dtype)));
    for (const MethodInfo& method : AllMethods()) {
      v1::MethodDescription& added = *response->add_methods();
      added.set_id(std::string(method.id));
      added.set_summary(std::string(method.summary));
    }
    response->set_has_selector(parts_.has_selector);
    response->set_server_version(parts_.server_version);
    response->set_max_chunks_per_request(kMaxChunksPerRequest);
    response->set_max_chunk_text_bytes(kMaxChunkInputBytes);
    return grpc::Status::OK;
  }

  grpc::Status Abort(grpc::ServerContext* context, const v1::AbortRequest* request,
                     v1::AbortResponse*) override {
    return ToGrpcStatus(parts_.engine->Abort(request->request_id()), context);
  }

 private:
  grpc::Status Fail(const absl::Status& status, EventStream& events, grpc::ServerContext* context) {
    parts_.metrics->RecordGenerationError(absl::AsciiStrToLower(absl::StatusCodeToString(status.code())));
    return events.Fail(status, context);
  }

  const GenerationServiceParts parts_;
};

}  // namespace

RpcService MakeGenerationService(const GenerationServiceParts& parts) {
  return RpcService(v1::GenerationService::service_full_name(), std::make_unique<Service>(parts));
}

}  // namespace cacheclip
