#include "common/rpc/health_client.h"

#include <vector>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/client_context.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/client_call.h"
#include "common/rpc/status_mapping.h"

namespace cacheclip {
namespace {

// The wire contract of grpc.health.v1.Health/Check: HealthCheckRequest{string service = 1},
// HealthCheckResponse{ServingStatus status = 1; SERVING = 1}. Two fields do not pay for generated code.
constexpr char kCheckMethod[] = "/grpc.health.v1.Health/Check";
constexpr uint32_t kServiceTag = (1 << 3) | 2;  // field 1, length-delimited
constexpr uint32_t kStatusTag = (1 << 3) | 0;   // field 1, varint
constexpr uint32_t kServing = 1;

grpc::ByteBuffer EncodeRequest(const std::string& service) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    if (!service.empty()) {
      out.WriteTag(kServiceTag);
      out.WriteVarint32(static_cast<uint32_t>(service.size()));
      out.WriteString(service);
    }
  }
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

bool IsServing(const grpc::ByteBuffer& response) {
  grpc::Slice slice;
  if (!response.Valid() || !response.DumpToSingleSlice(&slice).ok()) return false;
  google::protobuf::io::CodedInputStream in(slice.begin(), static_cast<int>(slice.size()));
  uint32_t status = 0;
  return in.ReadTag() == kStatusTag && in.ReadVarint32(&status) && status == kServing;
}

}  // namespace

absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service,
                         absl::Duration timeout) {
  grpc::ClientContext context;
  SetDeadline(context, absl::Now() + timeout);
  const grpc::internal::RpcMethod method(kCheckMethod, grpc::internal::RpcMethod::NORMAL_RPC);
  grpc::ByteBuffer response;
  const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer,
                                                                grpc::ByteBuffer, grpc::ByteBuffer>(
      channel.get(), method, &context, EncodeRequest(service), &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND)
    return FieldError(absl::StatusCode::kNotFound, "service", absl::StrCat("the server has no ", service));
  CACHECLIP_RETURN_IF_ERROR(FromGrpcStatus(status, context));
  if (!IsServing(response))
    return absl::UnavailableError(absl::StrCat(service.empty() ? "the server" : service, " is not serving"));
  return absl::OkStatus();
}

}  // namespace cacheclip
