#include "common/store/redis/server_check.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

struct ServerFacts {
  std::string run_id;
  std::string policy;  // "" when the server does not say
  bool has_limit = false;
};

std::string InfoField(const std::string& info, const std::string& name) {
  for (absl::string_view line : absl::StrSplit(info, '\n'))
    if (absl::ConsumePrefix(&line, absl::StrCat(name, ":")))
      return std::string(absl::StripSuffix(line, "\r"));
  return "";
}

// INFO rather than CONFIG GET, which managed servers do not offer.
absl::StatusOr<std::vector<ServerFacts>> AskServers(RedisClient& client) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<RedisReply> replies,
                             client.ExecuteOnEveryPrimary({.args = {"INFO"}, .key_index = 0}, {}));
  std::vector<ServerFacts> servers;
  for (const RedisReply& reply : replies) {
    const std::string limit = InfoField(reply.text, "maxmemory");
    servers.push_back({.run_id = InfoField(reply.text, "run_id"),
                       .policy = InfoField(reply.text, "maxmemory_policy"),
                       .has_limit = !limit.empty() && limit != "0"});
  }
  return servers;
}

void AddWarnings(const ServerFacts& server, std::set<std::string>& warnings) {
  if (!server.has_limit)
    warnings.insert("Redis has no maxmemory: chunks will fill the machine; set maxmemory and volatile-lru");
  else if (server.policy == "noeviction")
    warnings.insert("Redis has the policy noeviction: puts fail when it is full; volatile-lru makes room");
  if (absl::StartsWith(server.policy, "allkeys-"))
    warnings.insert(absl::StrCat("Redis has the policy ", server.policy,
                                 ": keys without expiry are evicted too; volatile-lru spares them"));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CheckKvServer(RedisClient& chunks, RedisClient* catalog) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<ServerFacts> servers, AskServers(chunks));
  std::set<std::string> catalog_run_ids, warnings;
  if (catalog != nullptr) {
    CACHECLIP_ASSIGN_OR_RETURN(const std::vector<ServerFacts> holders, AskServers(*catalog));
    for (const ServerFacts& holder : holders) catalog_run_ids.insert(holder.run_id);
  }
  for (const ServerFacts& server : servers) {
    AddWarnings(server, warnings);
    if (!catalog_run_ids.contains(server.run_id)) continue;
    if (absl::StartsWith(server.policy, "allkeys-"))
      return absl::FailedPreconditionError(absl::StrCat(
          "Redis at ", chunks.address(), " holds the catalogue and has the policy ", server.policy,
          ", which evicts it: set volatile-lru, or give the catalogue a server of its own"));
    warnings.insert("chunks and catalogue share a Redis server: two servers keep load and memory apart");
  }
  return std::vector<std::string>(warnings.begin(), warnings.end());
}

}  // namespace cacheclip
