#include "common/rpc/selector_client.h"

#include <algorithm>
#include <utility>

#include "cacheclip/v1/selector.grpc.pb.h"
#include "common/base/status.h"
#include "common/rpc/client_call.h"
#include "common/rpc/conversion/selector_conversion.h"
#include "common/rpc/status_mapping.h"

namespace cacheclip {

void RpcTokenSelector::Connect(std::shared_ptr<grpc::Channel> channel) {
  std::lock_guard lock(mutex_);
  channel_ = std::move(channel);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> RpcTokenSelector::channel() {
  std::lock_guard lock(mutex_);
  if (channel_ == nullptr) return absl::UnavailableError("the selector is not connected yet");
  return channel_;
}

absl::StatusOr<SelectResult> RpcTokenSelector::Select(const SelectRequest& request,
                                                      const CancellationToken& cancellation) {
  CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
  CACHECLIP_ASSIGN_OR_RETURN(const auto to, channel());
  grpc::ClientContext context;
  SetDeadline(context, std::min(options_.clock->Now() + options_.timeout, cancellation.deadline()));
  v1::SelectTokensResponse response;
  const grpc::Status status =
      v1::SelectorService::NewStub(to)->SelectTokens(&context, ToProto(request), &response);
  CACHECLIP_RETURN_IF_ERROR(FromGrpcStatus(status, context));
  return FromProto(response);
}

absl::StatusOr<int> RpcTokenSelector::Prepare(const std::string& namespace_name, const std::string& prefix_id,
                                              const std::vector<SelectChunk>& chunks,
                                              const CancellationToken& cancellation) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto to, channel());
  v1::PrepareChunksRequest request;
  request.set_namespace_name(namespace_name);
  request.set_prefix_id(prefix_id);
  for (const SelectChunk& chunk : chunks) *request.add_chunks() = ToProto(chunk);
  grpc::ClientContext context;
  SetDeadline(context, cancellation.deadline());
  v1::PrepareChunksResponse response;
  const grpc::Status status = v1::SelectorService::NewStub(to)->PrepareChunks(&context, request, &response);
  CACHECLIP_RETURN_IF_ERROR(FromGrpcStatus(status, context));
  return response.chunks_encoded();
}

}  // namespace cacheclip
