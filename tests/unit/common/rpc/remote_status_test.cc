#include "common/rpc/remote_status.h"

#include <string>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

TEST(RemoteStatus, ReadsAsIfMadeHere) {
  const absl::Status local = InvalidField("options.budget", "must be between 0 and 1, got 2");
  const absl::Status remote =
      RemoteStatus(static_cast<int>(local.code()), StdView(local.message()), FieldOf(local));
  EXPECT_EQ(remote, local);
  EXPECT_EQ(FieldOf(remote), "options.budget");
}

TEST(RemoteStatus, KeepsAMessageThatNamesNoField) {
  EXPECT_EQ(RemoteStatus(14, "connection refused", ""), absl::UnavailableError("connection refused"));
}

TEST(RemoteStatus, UnknownCodesAreErrors) {
  EXPECT_EQ(RemoteStatus(0, "x", "").code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(RemoteStatus(99, "x", "field").code(), absl::StatusCode::kUnknown);
}

}  // namespace
}  // namespace cacheclip
