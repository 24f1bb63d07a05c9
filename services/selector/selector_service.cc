#include "services/selector/selector_service.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cacheclip/v1/selector.grpc.pb.h"
#include "common/base/status.h"
#include "common/engine/generate_request.h"
#include "common/rpc/conversion/selector_conversion.h"
#include "common/rpc/status_mapping.h"

namespace cacheclip {
namespace {

class Service final : public v1::SelectorService::Service {
 public:
  Service(SelectorEngine* engine, Metrics* metrics) : engine_(engine), metrics_(metrics) {}

  grpc::Status SelectTokens(grpc::ServerContext* context, const v1::SelectTokensRequest* request,
                            v1::SelectTokensResponse* response) override {
    const absl::StatusOr<SelectResult> result = Select(*request, *context);
    if (!result.ok()) {
      metrics_->RecordSelectionError(absl::AsciiStrToLower(absl::StatusCodeToString(result.status().code())));
      return ToGrpcStatus(result.status(), context);
    }
    metrics_->RecordSelection({request->method(), result->num_context_tokens,
                               static_cast<int64_t>(result->indices.size()), result->load_duration,
                               result->score_duration});
    *response = ToProto(*result);
    return grpc::Status::OK;
  }

  grpc::Status PrepareChunks(grpc::ServerContext* context, const v1::PrepareChunksRequest* request,
                             v1::PrepareChunksResponse* response) override {
    if (request->chunks_size() > kMaxChunksPerRequest) {
      return ToGrpcStatus(
          FieldError(absl::StatusCode::kResourceExhausted, "chunks",
                     absl::StrCat("at most ", kMaxChunksPerRequest, ", got ", request->chunks_size())),
          context);
    }
    std::vector<SelectChunk> chunks;
    for (const v1::SelectorChunk& chunk : request->chunks()) chunks.push_back(FromProto(chunk));
    const absl::StatusOr<int> encoded =
        engine_->Prepare(request->namespace_name(), request->prefix_id(), chunks, CancellationOf(*context));
    if (!encoded.ok()) return ToGrpcStatus(encoded.status(), context);
    response->set_chunks_encoded(*encoded);
    return grpc::Status::OK;
  }

 private:
  absl::StatusOr<SelectResult> Select(const v1::SelectTokensRequest& request,
                                      const grpc::ServerContext& context) {
    CACHECLIP_ASSIGN_OR_RETURN(const SelectRequest plain, FromProto(request));
    return engine_->Select(plain, CancellationOf(context));
  }

  SelectorEngine* const engine_;
  Metrics* const metrics_;
};

}  // namespace

RpcService MakeSelectorService(SelectorEngine* engine, Metrics* metrics) {
  return RpcService(v1::SelectorService::service_full_name(), std::make_unique<Service>(engine, metrics));
}

}  // namespace cacheclip
