#include "common/rpc/rpc_server.h"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cacheclip/v1/selector.grpc.pb.h"
#include "common/base/status.h"
#include "common/rpc/channel.h"
#include "common/rpc/selector_client.h"
#include "common/rpc/status_mapping.h"
#include "common/telemetry/metrics.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

// Refuses every selection, naming a field.
class RefusingSelector final : public v1::SelectorService::Service {
  grpc::Status SelectTokens(grpc::ServerContext* context, const v1::SelectTokensRequest*,
                            v1::SelectTokensResponse*) override {
    return ToGrpcStatus(InvalidField("budget", "is not to my liking"), context);
  }
};

std::vector<RpcService> Services() {
  std::vector<RpcService> services;
  services.emplace_back(v1::SelectorService::service_full_name(), std::make_unique<RefusingSelector>());
  return services;
}

absl::Status SelectAt(const std::string& target) {
  RpcTokenSelector selector({.timeout = absl::Seconds(30)});
  selector.Connect(*MakeChannel({.target = target}));
  return selector.Select({.namespace_name = "space"}, CancellationToken()).status();
}

TEST(RpcServer, CarriesTheFieldOfAnErrorToTheClient) {
  auto server = RpcServer::Start({}, Services());
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_GT((*server)->port(), 0);
  EXPECT_EQ(SelectAt((*server)->target()), InvalidField("budget", "is not to my liking"));
}

TEST(RpcServer, CountsCallsByMethodAndCode) {
  Metrics metrics;
  auto server = RpcServer::Start({.metrics = &metrics}, Services());
  ASSERT_TRUE(server.ok()) << server.status();
  SelectAt((*server)->target()).IgnoreError();
  (*server)->Shutdown(absl::Seconds(30));
  EXPECT_THAT(metrics.Text(), HasSubstr("rpc=\"cacheclip.v1.SelectorService/SelectTokens\""));
  EXPECT_THAT(metrics.Text(), HasSubstr("code=\"INVALID_ARGUMENT\""));
}

TEST(RpcServer, SaysWhichPortIsInUse) {
  auto first = RpcServer::Start({}, Services());
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = RpcServer::Start({.port = (*first)->port()}, Services());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(FieldOf(second.status()), "port");
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
}

TEST(RpcServer, StaysOnLoopbackUnlessToldOtherwise) {
  const auto refused = RpcServer::Start({.address = "0.0.0.0"}, Services());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(FieldOf(refused.status()), "address");
  EXPECT_TRUE(IsLoopbackAddress("127.0.0.1"));
  EXPECT_TRUE(IsLoopbackAddress("::1"));
  EXPECT_FALSE(IsLoopbackAddress("10.0.0.1"));
}

TEST(RpcServer, NamesTheTlsFileItCannotRead) {
  const auto missing = RpcServer::Start({.tls = {"/no/such/file", "/no/such/key", ""}}, Services());
  EXPECT_EQ(FieldOf(missing.status()), "tls_certificate");
  const auto half = RpcServer::Start({.tls = {"", "/no/such/key", ""}}, Services());
  EXPECT_EQ(FieldOf(half.status()), "tls_certificate");
}

TEST(RpcServer, ReachesItselfWithoutAPort) {
  auto server = RpcServer::Start({}, Services());
  ASSERT_TRUE(server.ok()) << server.status();
  RpcTokenSelector selector({.timeout = absl::Seconds(30)});
  selector.Connect((*server)->InProcessChannel());
  const absl::Status status = selector.Select({.namespace_name = "space"}, CancellationToken()).status();
  EXPECT_EQ(FieldOf(status), "budget");
}

TEST(RpcServer, RefusesCallsAfterShutdown) {
  auto server = RpcServer::Start({}, Services());
  ASSERT_TRUE(server.ok()) << server.status();
  (*server)->Shutdown(absl::ZeroDuration());
  EXPECT_EQ(SelectAt((*server)->target()).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace cacheclip
