#include "common/rpc/call_observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cacheclip/v1/generation.grpc.pb.h"
#include "common/rpc/channel.h"
#include "common/rpc/generation_client.h"
#include "common/rpc/rpc_server.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

class EmptyGeneration final : public v1::GenerationService::Service {
  grpc::Status GetModelInfo(grpc::ServerContext*, const v1::GetModelInfoRequest*,
                            v1::GetModelInfoResponse*) override {
    return grpc::Status::OK;
  }
};

TEST(CallObserver, CountsEachCallOnceWithItsCode) {
  Metrics metrics;
  std::vector<RpcService> services;
  services.emplace_back("cacheclip.v1.GenerationService", std::make_unique<EmptyGeneration>());
  auto server = RpcServer::Start({.metrics = &metrics}, std::move(services));
  ASSERT_TRUE(server.ok()) << server.status();
  GenerationClient client(*MakeChannel({.target = (*server)->target()}));
  EXPECT_TRUE(client.GetModelInfo().ok());
  EXPECT_TRUE(client.GetModelInfo().ok());
  EXPECT_EQ(client.Abort("x").code(), absl::StatusCode::kUnimplemented);
  (*server)->Shutdown(absl::Seconds(30));
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("cacheclip_rpc_calls_total{code=\"OK\",rpc=\"cacheclip.v1.GenerationService/"
                              "GetModelInfo\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("code=\"UNIMPLEMENTED\""));
  EXPECT_THAT(
      text, HasSubstr("cacheclip_rpc_seconds_count{rpc=\"cacheclip.v1.GenerationService/GetModelInfo\"} 2"));
}

TEST(CallObserver, LogsOnlyWhereNobodyCounts) {
  EXPECT_EQ(MakeCallObservers(nullptr).size(), 1);
  Metrics metrics;
  EXPECT_EQ(MakeCallObservers(&metrics).size(), 2);
}

}  // namespace
}  // namespace cacheclip
