#include "common/rpc/status_mapping.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(StatusMapping, EveryCodeMapsToItself) {
  grpc::ClientContext context;
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status mapped = ToGrpcStatus(status, nullptr);
    EXPECT_EQ(static_cast<int>(mapped.error_code()), code);
    EXPECT_EQ(mapped.error_message(), "why");
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus(), nullptr).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK, context).ok());
}

TEST(StatusMapping, TheFieldStaysInTheMessageWithoutMetadata) {
  EXPECT_EQ(ToGrpcStatus(InvalidField("budget", "too much"), nullptr).error_message(), "budget: too much");
}

}  // namespace
}  // namespace cacheclip
