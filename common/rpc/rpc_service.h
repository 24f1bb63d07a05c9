// A gRPC service ready to be served, without gRPC in the header: what services/*/<x>_service.h hand to
// RpcServer. Ownership: moves into the server. Plain value.
#pragma once

#include <memory>
#include <string>

namespace grpc {
class Service;
}

namespace cacheclip {

struct RpcService {
  RpcService(std::string name, std::unique_ptr<grpc::Service> implementation);
  RpcService(RpcService&&) noexcept;
  RpcService& operator=(RpcService&&) noexcept;
  ~RpcService();

  std::string name;  // "cacheclip.v1.GenerationService": also the service's name in grpc.health.v1
  std::unique_ptr<grpc::Service> implementation;
};

}  // namespace cacheclip
