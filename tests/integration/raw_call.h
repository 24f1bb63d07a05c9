// Calls a method by name with serialised bytes, as a client would that learned everything through reflection:
// for services whose protos are not packaged (health, reflection) and for requests that no typed client would
// send. Functions only.
#pragma once

#include <string>

#include <grpcpp/support/status.h>

namespace cacheclip {

struct RawReply {
  grpc::Status status;
  std::string bytes;  // of the first response
};

// One request, one response. Streaming methods answer their first response.
RawReply CallRaw(const std::string& target, const std::string& method, const std::string& request_bytes);

}  // namespace cacheclip
