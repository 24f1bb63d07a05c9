#include "common/store/chunk_store.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(TierName, EveryTierHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (Tier tier : {Tier::kMemory, Tier::kDisk, Tier::kRedis, Tier::kObject, Tier::kComputed})
    names.insert(TierName(tier));
  EXPECT_EQ(names, (std::set<std::string_view>{"computed", "disk", "memory", "object", "redis"}));
}

TEST(ValidatePin, AcceptsTheLimitsAndNamesTheFieldBeyondThem) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_TRUE(ValidatePin(std::string(kMaxStorePinOwnerBytes, 'x'), now + kMaxPinDuration, now).ok());
  EXPECT_EQ(FieldOf(ValidatePin("", now + absl::Hours(1), now)), "owner");
  EXPECT_EQ(FieldOf(ValidatePin(std::string(kMaxStorePinOwnerBytes + 1, 'x'), now + absl::Hours(1), now)),
            "owner");
  EXPECT_EQ(FieldOf(ValidatePin("job", now, now)), "expiry");
  EXPECT_EQ(FieldOf(ValidatePin("job", now + kMaxPinDuration + absl::Seconds(1), now)), "expiry");
}

}  // namespace
}  // namespace cacheclip
