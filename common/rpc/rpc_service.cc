#include "common/rpc/rpc_service.h"

#include <utility>

#include <grpcpp/impl/service_type.h>

namespace cacheclip {

RpcService::RpcService(std::string name_in, std::unique_ptr<grpc::Service> implementation_in)
    : name(std::move(name_in)), implementation(std::move(implementation_in)) {}
RpcService::RpcService(RpcService&&) noexcept = default;
RpcService& RpcService::operator=(RpcService&&) noexcept = default;
RpcService::~RpcService() = default;

}  // namespace cacheclip
