#include "common/rpc/status_mapping.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(StatusMapping, EveryCodeSurvivesTheRoundTrip) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "what happened");
    const grpc::ClientContext context;
    const absl::Status back = FromGrpcStatus(ToGrpcStatus(status, nullptr), context);
    EXPECT_EQ(back.code(), status.code());
    if (!status.ok()) EXPECT_EQ(back.message(), "what happened");
  }
}

TEST(StatusMapping, TheFieldStaysInTheMessage) {
  const grpc::Status status = ToGrpcStatus(InvalidField("options.budget", "must be at most 1"), nullptr);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "options.budget: must be at most 1");
}

TEST(StatusMapping, NonAsciiMessagesAreKept) {
  const grpc::Status status = ToGrpcStatus(absl::NotFoundError("Straße → 道"), nullptr);
  EXPECT_EQ(status.error_message(), "Straße → 道");
}

}  // namespace
}  // namespace cacheclip
