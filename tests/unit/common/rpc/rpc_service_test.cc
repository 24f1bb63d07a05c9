#include "common/rpc/rpc_service.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "cacheclip/v1/selector.grpc.pb.h"

namespace cacheclip {
namespace {

TEST(RpcService, MovesWithItsImplementation) {
  auto implementation = std::make_unique<v1::SelectorService::Service>();
  const grpc::Service* const address = implementation.get();
  RpcService service("name", std::move(implementation));
  const RpcService moved = std::move(service);
  EXPECT_EQ(moved.implementation.get(), address);
  EXPECT_EQ(moved.name, "name");
}

}  // namespace
}  // namespace cacheclip
