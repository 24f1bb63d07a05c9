#include "common/store/redis/server_check.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

std::string InfoField(const std::string& info, const std::string& name) {
  for (absl::string_view line : absl::StrSplit(info, '\n'))
    if (absl::ConsumePrefix(&line, absl::StrCat(name, ":")))
      return std::string(absl::StripSuffix(line, "\r"));
  return "";
}

void AddWarnings(const RedisServerFacts& server, std::set<std::string>& warnings) {
  if (!server.has_limit)
    warnings.insert("Redis has no maxmemory: chunks will fill the machine; set maxmemory and volatile-lru");
  else if (server.policy == "noeviction")
    warnings.insert("Redis has the policy noeviction: puts fail when it is full; volatile-lru makes room");
  if (absl::StartsWith(server.policy, "allkeys-"))
    warnings.insert(absl::StrCat("Redis has the policy ", server.policy,
                                 ": keys without expiry are evicted too; volatile-lru spares them"));
}

}  // namespace

// INFO rather than CONFIG GET, which managed servers do not offer.
absl::StatusOr<std::vector<RedisServerFacts>> AskRedisServers(RedisClient& client, absl::Time deadline) {
  CACHECLIP_ASSIGN_OR_RETURN(
      const std::vector<RedisReply> replies,
      client.ExecuteOnEveryPrimary({.args = {"INFO"}, .key_index = 0}, {.deadline = deadline}));
  std::vector<RedisServerFacts> servers;
  for (const RedisReply& reply : replies) {
    const std::string limit = InfoField(reply.text, "maxmemory");
    servers.push_back({.run_id = InfoField(reply.text, "run_id"),
                       .policy = InfoField(reply.text, "maxmemory_policy"),
                       .has_limit = !limit.empty() && limit != "0"});
  }
  return servers;
}

std::vector<std::string> ChunkWarnings(std::span<const RedisServerFacts> chunk_servers) {
  std::set<std::string> warnings;
  for (const RedisServerFacts& server : chunk_servers) AddWarnings(server, warnings);
  return {warnings.begin(), warnings.end()};
}

absl::StatusOr<std::vector<std::string>> CheckSharing(std::span<const RedisServerFacts> chunk_servers,
                                                      std::span<const RedisServerFacts> catalog_servers) {
  std::vector<std::string> warnings;
  for (const RedisServerFacts& server : catalog_servers) {
    if (std::ranges::find(chunk_servers, server.run_id, &RedisServerFacts::run_id) == chunk_servers.end())
      continue;
    if (absl::StartsWith(server.policy, "allkeys-"))
      return absl::FailedPreconditionError(absl::StrCat(
          "the Redis server that holds chunks and catalogue has the policy ", server.policy,
          ", which evicts the catalogue: set volatile-lru, or give the catalogue a server of its own"));
    warnings = {"chunks and catalogue share a Redis server: two servers keep load and memory apart"};
  }
  return warnings;
}

}  // namespace cacheclip
