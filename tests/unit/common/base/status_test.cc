#include "common/base/status.h"

#include <memory>

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace cacheclip {
namespace {

absl::Status ReturnsEarly(const absl::Status& status, bool& reached_end) {
  CACHECLIP_RETURN_IF_ERROR(status);
  reached_end = true;
  return absl::OkStatus();
}

absl::StatusOr<int> AddOne(absl::StatusOr<std::unique_ptr<int>> value) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::unique_ptr<int> number, std::move(value));
  return *number + 1;
}

TEST(Status, ReturnIfErrorReturnsTheErrorItself) {
  bool reached_end = false;
  EXPECT_EQ(ReturnsEarly(absl::NotFoundError("gone"), reached_end), absl::NotFoundError("gone"));
  EXPECT_FALSE(reached_end);
}

TEST(Status, ReturnIfErrorGoesOnWhenOk) {
  bool reached_end = false;
  EXPECT_TRUE(ReturnsEarly(absl::OkStatus(), reached_end).ok());
  EXPECT_TRUE(reached_end);
}

TEST(Status, AssignOrReturnMovesTheValueOrReturnsTheError) {
  EXPECT_EQ(*AddOne(std::make_unique<int>(41)), 42);
  EXPECT_EQ(AddOne(absl::DataLossError("torn")).status(), absl::DataLossError("torn"));
}

TEST(Status, InvalidFieldNamesTheFieldInMessageAndPayload) {
  const absl::Status status = InvalidField("options.budget", "must be between 0 and 1, got 1.5");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "options.budget: must be between 0 and 1, got 1.5");
  EXPECT_EQ(FieldOf(status), "options.budget");
}

TEST(Status, FieldErrorKeepsItsCode) {
  const absl::Status status = FieldError(absl::StatusCode::kNotFound, "chunks[2].id", "unknown");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FieldOf(status), "chunks[2].id");
}

TEST(Status, FieldOfAnErrorWithoutFieldIsEmpty) {
  EXPECT_EQ(FieldOf(absl::InternalError("broken")), "");
  EXPECT_EQ(FieldOf(absl::OkStatus()), "");
}

TEST(Status, ContextIsPutBeforeTheMessageAndKeepsPayloads) {
  absl::Status inner = InvalidField("documents[3].text", "is not UTF-8");
  inner.SetPayload("other", absl::Cord("kept"));
  const absl::Status status = WithContext(inner, "ingest");
  EXPECT_EQ(status.message(), "ingest: documents[3].text: is not UTF-8");
  EXPECT_EQ(FieldOf(status), "documents[3].text");
  EXPECT_EQ(status.GetPayload("other"), absl::Cord("kept"));
}

TEST(Status, ContextOfOkIsOk) { EXPECT_TRUE(WithContext(absl::OkStatus(), "ingest").ok()); }

}  // namespace
}  // namespace cacheclip
