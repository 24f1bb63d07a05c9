#include "common/select/method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(Method, IdsAreThoseOfTheInterface) {
  std::vector<std::string> ids;
  for (const MethodInfo& info : AllMethods()) ids.emplace_back(info.id);
  EXPECT_THAT(ids, testing::ElementsAre("auto", "auxiliary", "auxiliary_paper", "primary_probe",
                                        "kv_deviation", "chunk_head", "random", "none", "full"));
}

TEST(Method, EveryIdParsesBackToItsMethod) {
  for (const MethodInfo& info : AllMethods()) {
    EXPECT_EQ(MethodId(info.method), info.id);
    EXPECT_EQ(ParseMethod(info.id).value(), info.method);
    EXPECT_FALSE(info.summary.empty());
  }
}

TEST(Method, UnknownIdNamesTheFieldAndListsTheKnown) {
  for (const char* id : {"", "AUTO", "probe", "auto "}) {
    const absl::Status status = ParseMethod(id).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << id;
    EXPECT_EQ(FieldOf(status), "options.method");
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(KnownMethodIds()));
  }
}

}  // namespace
}  // namespace cacheclip
