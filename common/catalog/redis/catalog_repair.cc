#include "common/catalog/redis/catalog_repair.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/catalog/records.h"
#include "common/catalog/redis/catalog_scripts.h"
#include "common/catalog/redis/redis_namespaces.h"

namespace cacheclip {
namespace {

constexpr int kReferencesPerStep = 1000;
constexpr size_t kChunkIdDigits = 64;

// Sequence 0 never takes a newer hold's place, and any later release may take it away.
absl::Status HoldBucket(const CatalogServer& server, const std::string& namespace_name,
                        const std::string& references) {
  std::string last;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(
        const RedisReply reply,
        server.Execute({.args = {"ZRANGEBYLEX", references, absl::StrCat("(", last), "+", "LIMIT", "0",
                                 absl::StrCat(kReferencesPerStep)}}));
    if (reply.elements.empty()) return absl::OkStatus();
    std::set<std::string> chunk_ids;
    for (const std::string& member : TextsOf(reply)) chunk_ids.insert(member.substr(0, kChunkIdDigits));
    last = reply.elements.back().text;
    std::vector<RedisCommand> commands;
    for (const std::string& chunk_id : chunk_ids)
      commands.push_back({.args = {"ZADD", HoldersKey(server.root(), chunk_id), "GT", "0", namespace_name}});
    CACHECLIP_RETURN_IF_ERROR(server.Pipeline(commands).status());
  }
}

absl::Status AdoptIfUnused(const CatalogServer& server, const std::string& namespace_name,
                           const std::string& chunk_id, const std::string& sequence) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<std::string> names = {keys.info(), keys.orphans(),
                                          keys.references(ChunkBucket(chunk_id))};
  const std::vector<std::string> args = {chunk_id, sequence};
  return server.Run(namespace_name, CatalogScripts::Get().adopt_orphan, names, args, Repeat::kHarmless)
      .status();
}

absl::Status AdoptHolds(const CatalogServer& server, const std::string& key) {
  const std::string chunk_id = ChunkIdOfHoldersKey(server.root(), key);
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply holders,
                             server.Execute({.args = {"ZRANGE", key, "0", "-1", "WITHSCORES"}}));
  const std::vector<std::string> holds = TextsOf(holders);  // namespace and sequence in turn
  for (size_t i = 0; i + 1 < holds.size(); i += 2) {
    const std::string& namespace_name = holds[i];
    const absl::Status adopted = AdoptIfUnused(server, namespace_name, chunk_id, holds[i + 1]);
    if (absl::IsNotFound(adopted)) {  // a namespace that the server has lost holds nothing
      CACHECLIP_RETURN_IF_ERROR(server.Execute({.args = {"ZREM", key, namespace_name}}).status());
    } else if (!adopted.ok()) {
      return adopted;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RepairHolders(const CatalogServer& server) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<Namespace> spaces, ReadNamespaces(server));
  for (const Namespace& space : spaces)
    for (int bucket = 0; bucket < kNumCatalogBuckets; ++bucket)
      CACHECLIP_RETURN_IF_ERROR(
          HoldBucket(server, space.name, server.keys(space.name).references(BucketName(bucket))));
  absl::Status adopted;
  const absl::Status scanned = server.client().Scan(
      HoldersPattern(server.root()),
      [&](const std::string& key) {
        adopted = AdoptHolds(server, key);
        return adopted.ok();
      },
      server.call_options(Repeat::kHarmless));
  CACHECLIP_RETURN_IF_ERROR(adopted);
  return scanned.ok() ? scanned : server.Translate(scanned);
}

}  // namespace cacheclip
