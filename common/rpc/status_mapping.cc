#include "common/rpc/status_mapping.h"

#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/rpc/remote_status.h"

namespace cacheclip {
namespace {

// HTTP/2 metadata is printable ASCII; anything else would kill the whole call.
std::string Printable(std::string text) {
  for (char& c : text)
    if (!absl::ascii_isprint(c)) c = '?';
  return text;
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase* context) {
  if (status.ok()) return grpc::Status::OK;
  if (const std::string field = FieldOf(status); context != nullptr && !field.empty())
    context->AddTrailingMetadata(kFieldMetadataKey, Printable(field));
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

absl::Status FromGrpcStatus(const grpc::Status& status, const grpc::ClientContext& context) {
  if (status.ok()) return absl::OkStatus();
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto found = trailers.find(kFieldMetadataKey);
  const std::string_view field = found == trailers.end()
                                     ? std::string_view()
                                     : std::string_view(found->second.data(), found->second.size());
  return RemoteStatus(status.error_code(), status.error_message(), field);
}

CancellationToken CancellationOf(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  const bool bounded = deadline != std::chrono::system_clock::time_point::max();
  return CancellationToken(bounded ? absl::FromChrono(deadline) : absl::InfiniteFuture(),
                           [&context] { return context.IsCancelled(); });
}

}  // namespace cacheclip
