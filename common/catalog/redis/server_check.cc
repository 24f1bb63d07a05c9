#include "common/catalog/redis/server_check.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr char kField[] = "catalog_url";

// The value of "name:value" in INFO's answer, or "".
std::string InfoValue(std::string_view info, std::string_view name) {
  for (absl::string_view line : absl::StrSplit(AbslView(info), absl::ByAnyChar("\r\n"), absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (StdView(field.first) == name) return std::string(StdView(field.second));
  }
  return "";
}

bool IsOlderThan6_2(std::string_view version) {
  const std::vector<std::string> parts = absl::StrSplit(AbslView(version), '.');
  int major = 0, minor = 0;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &major) || !absl::SimpleAtoi(parts[1], &minor))
    return false;  // a server that does not say: its first unknown command will
  return major < 6 || (major == 6 && minor < 2);
}

absl::Status Refused(std::string_view problem) {
  return FieldError(absl::StatusCode::kFailedPrecondition, kField, problem);
}

}  // namespace

absl::Status CheckServerInfo(std::string_view info) {
  const std::string policy = InfoValue(info, "maxmemory_policy");
  if (absl::StartsWith(policy, "allkeys-"))
    return Refused(absl::StrCat("the server's maxmemory-policy is ", policy,
                                ", which evicts the catalogue: set noeviction or volatile-lru, or give the "
                                "catalogue a Redis of its own"));
  const std::string version = InfoValue(info, "redis_version");
  if (IsOlderThan6_2(version))
    return Refused(absl::StrCat("the server is Redis ", version, ", the catalogue needs 6.2 or newer"));
  return absl::OkStatus();
}

absl::Status CheckCatalogServer(const CatalogServer& server, bool read_only) {
  const absl::StatusOr<std::vector<RedisReply>> infos = server.client().ExecuteOnEveryPrimary(
      {.args = {"INFO"}, .key_index = 0}, server.call_options(Repeat::kHarmless));
  if (!infos.ok()) return server.Translate(infos.status());
  for (const RedisReply& info : *infos) CACHECLIP_RETURN_IF_ERROR(CheckServerInfo(info.text));

  const std::string key = LayoutKey(server.root());
  const std::string ours = absl::StrCat(kCatalogLayoutVersion);
  if (!read_only) CACHECLIP_RETURN_IF_ERROR(server.Execute({.args = {"SETNX", key, ours}}).status());
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply layout, server.Execute({.args = {"GET", key}}));
  if (layout.is_nil())
    return absl::UnavailableError(
        absl::StrCat("there is no catalogue at ", server.client().address(),
                     " yet: start the ingestion service with the same catalog_url"));
  if (layout.text == ours) return absl::OkStatus();
  return Refused(absl::StrCat("holds a catalogue of layout ", layout.text, ", this program works with ", ours,
                              ": use the program that wrote it, or another database and ingest again"));
}

}  // namespace cacheclip
