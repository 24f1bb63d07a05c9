#include "common/rpc/health_client.h"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cacheclip/v1/selector.grpc.pb.h"
#include "common/base/status.h"
#include "common/rpc/rpc_server.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kTimeout = absl::Seconds(30);

class HealthClient : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<RpcService> services;
    services.emplace_back(name_, std::make_unique<v1::SelectorService::Service>());
    auto server = RpcServer::Start({}, std::move(services));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = *MakeChannel({.target = server_->target()});
  }

  const std::string name_ = v1::SelectorService::service_full_name();
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(HealthClient, IsOkForTheProcessAndForEachService) {
  EXPECT_EQ(CheckHealth(channel_, "", kTimeout), absl::OkStatus());
  EXPECT_EQ(CheckHealth(channel_, name_, kTimeout), absl::OkStatus());
}

TEST_F(HealthClient, TellsAServiceThatIsNotReadyFromAProcessThatLives) {
  server_->SetServing(name_, false);
  const absl::Status status = CheckHealth(channel_, name_, kTimeout);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(name_));
  EXPECT_EQ(CheckHealth(channel_, "", kTimeout), absl::OkStatus());
}

TEST_F(HealthClient, NamesAServiceThatIsNotThere) {
  const absl::Status status = CheckHealth(channel_, "no.such.Service", kTimeout);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FieldOf(status), "service");
}

TEST_F(HealthClient, IsUnavailableWithoutAServer) {
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_EQ(CheckHealth(channel_, "", kTimeout).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace cacheclip
