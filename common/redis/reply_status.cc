#include "common/redis/reply_status.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/string_view.h"
#include "common/redis/key_slot.h"
#include "common/redis/redis_client.h"

namespace cacheclip {
namespace {

constexpr char kErrorCodePayload[] = "cacheclip/redis-error-code";

std::string_view FirstWord(std::string_view text) { return text.substr(0, text.find_first_of(" \r\n")); }

absl::StatusCode CodeOf(std::string_view error_code, std::string_view error) {
  // Redis 6 and older wrap what a script's command answered: "ERR Error running script …: -OOM command not
  // …".
  if (error_code == "OOM" || error.find(": -OOM ") != std::string_view::npos)
    return absl::StatusCode::kResourceExhausted;
  if (error_code == "NOAUTH" || error_code == "WRONGPASS") return absl::StatusCode::kUnauthenticated;
  if (error_code == "NOPERM") return absl::StatusCode::kPermissionDenied;
  if (PassesByItself(error_code) || error_code == "MOVED" || error_code == "ASK" ||
      error_code == "NOREPLICAS" || error_code == "MISCONF")
    return absl::StatusCode::kUnavailable;
  if (error.find("max number of clients") != std::string_view::npos)
    return absl::StatusCode::kResourceExhausted;
  if (error.find("invalid password") != std::string_view::npos ||
      error.find("without any password") != std::string_view::npos)
    return absl::StatusCode::kUnauthenticated;
  return absl::StatusCode::kFailedPrecondition;
}

}  // namespace

std::string_view ErrorCodeOf(std::string_view error) {
  // "ERR Error running script …: -READONLY You can't write against a read only replica."
  if (error.find(": -READONLY ") != std::string_view::npos) return "READONLY";
  return FirstWord(error);
}

bool PassesByItself(std::string_view error_code) {
  constexpr std::array<std::string_view, 6> kCodes = {"LOADING",    "CLUSTERDOWN", "TRYAGAIN",
                                                      "MASTERDOWN", "READONLY",    "BUSY"};
  return std::ranges::find(kCodes, error_code) != kCodes.end();
}

absl::Status StatusFromRedisError(std::string_view error) {
  const std::string_view error_code = ErrorCodeOf(error);
  absl::Status status(CodeOf(error_code, error), absl::StrCat("Redis answered: ", AbslView(error)));
  status.SetPayload(kErrorCodePayload, absl::Cord(AbslView(error_code)));
  return status;
}

std::string RedisErrorCode(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrorCodePayload);
  return payload.has_value() ? std::string(*payload) : "";
}

std::optional<RedisRedirect> ParseRedirect(std::string_view error) {
  const std::vector<std::string> words = absl::StrSplit(AbslView(error), ' ');
  if (words.size() != 3 || (words[0] != "MOVED" && words[0] != "ASK")) return std::nullopt;
  RedisRedirect redirect{.is_ask = words[0] == "ASK"};
  const size_t colon = words[2].rfind(':');  // an IPv6 address comes without brackets
  if (colon == std::string::npos) return std::nullopt;
  redirect.endpoint.host = words[2].substr(0, colon);
  if (!absl::SimpleAtoi(words[1], &redirect.slot) || redirect.slot < 0 || redirect.slot >= kNumRedisSlots ||
      !absl::SimpleAtoi(words[2].substr(colon + 1), &redirect.endpoint.port))
    return std::nullopt;
  return redirect;
}

}  // namespace cacheclip
