#include "common/rpc/generation_client.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "cacheclip/v1/generation.grpc.pb.h"
#include "common/base/status.h"
#include "common/rpc/client_call.h"
#include "common/rpc/conversion/generation_conversion.h"
#include "common/rpc/status_mapping.h"

namespace cacheclip {
namespace {

// Protobuf strings must be UTF-8; say so by field before the other side refuses the whole message without a
// reason.
absl::Status CheckTexts(const GenerateRequest& request) {
  for (size_t i = 0; i < request.messages.size(); ++i)
    CACHECLIP_RETURN_IF_ERROR(
        CheckUtf8(absl::StrCat("messages[", i, "].content"), request.messages[i].content));
  for (size_t i = 0; i < request.chunks.size(); ++i) {
    CACHECLIP_RETURN_IF_ERROR(CheckUtf8(absl::StrCat("chunks[", i, "].text"), request.chunks[i].text));
    CACHECLIP_RETURN_IF_ERROR(CheckUtf8(absl::StrCat("chunks[", i, "].title"), request.chunks[i].title));
  }
  return absl::OkStatus();
}

// Collects the events of one stream.
class StreamReader {
 public:
  explicit StreamReader(const GenerateStreamCallbacks& callbacks) : callbacks_(callbacks) {}

  void Handle(const v1::GenerateResponse& event) {
    if (event.has_accepted() && callbacks_.on_accepted) callbacks_.on_accepted(event.accepted().request_id());
    if (event.has_token()) HandleToken(FromProto(event.token()));
    if (event.has_finished()) HandleFinished(event.finished());
    if (event.has_error()) terminal_ = FromProto(event.error());
  }

  absl::StatusOr<GenerateResult> Finish(const absl::Status& call_status) {
    if (terminal_.has_value() && !terminal_->ok()) return *terminal_;
    CACHECLIP_RETURN_IF_ERROR(call_status);
    if (!terminal_.has_value()) return absl::InternalError("the stream ended without a terminal event");
    return std::move(result_);
  }

 private:
  void HandleToken(const TokenEvent& token) {
    result_.token_ids.push_back(token.token_id);
    if (callbacks_.on_token) callbacks_.on_token(token);
  }

  void HandleFinished(const v1::Finished& finished) {
    result_.finish_reason = FromProto(finished.finish_reason());
    result_.usage = FromProto(finished.usage());
    result_.text = finished.text();
    terminal_ = absl::OkStatus();
  }

  const GenerateStreamCallbacks& callbacks_;
  GenerateResult result_;
  std::optional<absl::Status> terminal_;
};

}  // namespace

absl::StatusOr<GenerateResult> GenerationClient::Generate(const GenerateRequest& request,
                                                          const CancellationToken& cancellation,
                                                          const GenerateStreamCallbacks& callbacks) {
  CACHECLIP_RETURN_IF_ERROR(CheckTexts(request));
  CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
  grpc::ClientContext context;
  SetDeadline(context, cancellation.deadline());
  const auto stream = v1::GenerationService::NewStub(channel_)->Generate(&context, ToProto(request));
  StreamReader reader(callbacks);
  v1::GenerateResponse event;
  while (stream->Read(&event)) {
    reader.Handle(event);
    if (!cancellation.Check().ok()) context.TryCancel();
  }
  return reader.Finish(FromGrpcStatus(stream->Finish(), context));
}

absl::StatusOr<Encoding> GenerationClient::Tokenize(const std::string& text) {
  CACHECLIP_RETURN_IF_ERROR(CheckUtf8("text", text));
  grpc::ClientContext context;
  v1::TokenizeRequest request;
  request.set_text(text);
  v1::TokenizeResponse response;
  const grpc::Status status =
      v1::GenerationService::NewStub(channel_)->Tokenize(&context, request, &response);
  CACHECLIP_RETURN_IF_ERROR(FromGrpcStatus(status, context));
  if (response.begin_bytes_size() != response.token_ids_size() ||
      response.end_bytes_size() != response.token_ids_size())
    return absl::InternalError("Tokenize answered a different number of ids and spans");
  Encoding encoding;
  for (int i = 0; i < response.token_ids_size(); ++i) {
    encoding.ids.push_back(response.token_ids(i));
    encoding.spans.push_back({response.begin_bytes(i), response.end_bytes(i)});
  }
  return encoding;
}

absl::StatusOr<ModelInfo> GenerationClient::GetModelInfo() {
  grpc::ClientContext context;
  v1::GetModelInfoResponse response;
  const grpc::Status status =
      v1::GenerationService::NewStub(channel_)->GetModelInfo(&context, v1::GetModelInfoRequest(), &response);
  CACHECLIP_RETURN_IF_ERROR(FromGrpcStatus(status, context));
  return FromProto(response);
}

absl::Status GenerationClient::Abort(const std::string& request_id) {
  grpc::ClientContext context;
  v1::AbortRequest request;
  request.set_request_id(request_id);
  v1::AbortResponse response;
  return FromGrpcStatus(v1::GenerationService::NewStub(channel_)->Abort(&context, request, &response),
                        context);
}

}  // namespace cacheclip
