#include "common/store/chunk_store.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {

std::string_view TierName(Tier tier) {
  switch (tier) {
    case Tier::kMemory:
      return "memory";
    case Tier::kDisk:
      return "disk";
    case Tier::kRedis:
      return "redis";
    case Tier::kObject:
      return "object";
    case Tier::kComputed:
      return "computed";
  }
  return "unknown";
}

absl::Status ValidatePin(std::string_view owner, absl::Time expiry, absl::Time now) {
  if (owner.empty() || static_cast<int64_t>(owner.size()) > kMaxStorePinOwnerBytes)
    return InvalidField("owner",
                        absl::StrCat("must be 1 to ", kMaxStorePinOwnerBytes, " bytes, got ", owner.size()));
  if (expiry <= now)
    return InvalidField("expiry", absl::StrCat("must be in the future, got ", absl::FormatTime(expiry)));
  if (expiry > now + kMaxPinDuration)
    return InvalidField("expiry", absl::StrCat("at most ", absl::FormatDuration(kMaxPinDuration),
                                               " from now, got ", absl::FormatTime(expiry)));
  return absl::OkStatus();
}

}  // namespace cacheclip
