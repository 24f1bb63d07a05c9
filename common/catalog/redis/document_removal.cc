#include "common/catalog/redis/document_removal.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/catalog/records.h"
#include "common/catalog/redis/catalog_scripts.h"
#include "common/catalog/redis/record_codec.h"

namespace cacheclip {
namespace {

// The last batch of a dead revision's uses.
struct LastBatch {
  bool is_dead = false;
  int64_t num_batches = 0;
  std::vector<std::string> chunk_ids;  // sorted, unique
};

absl::StatusOr<LastBatch> ReadLastBatch(const CatalogServer& server, const NamespaceKeys& keys,
                                        const std::string& revision) {
  const std::vector<RedisCommand> commands = {{.args = {"HEXISTS", keys.dead(), revision}},
                                              {.args = {"LLEN", keys.uses(revision)}},
                                              {.args = {"LINDEX", keys.uses(revision), "-1"}}};
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<RedisReply> replies, server.Pipeline(commands));
  std::vector<ChunkReference> uses;
  CACHECLIP_RETURN_IF_ERROR(UnpackUses(replies[2].text, uses));
  std::set<std::string> chunk_ids;
  for (const ChunkReference& use : uses) chunk_ids.insert(use.chunk_id);
  return LastBatch{replies[0].integer == 1, replies[1].integer, {chunk_ids.begin(), chunk_ids.end()}};
}

}  // namespace

absl::StatusOr<std::optional<std::string>> DropDocument(const CatalogServer& server,
                                                        std::string_view namespace_name,
                                                        std::string_view document_id,
                                                        std::string_view condition) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<std::string> names = {keys.info(),         keys.live(),
                                          keys.document_ids(), keys.documents(DocumentBucket(document_id)),
                                          keys.expiring(),     keys.dead()};
  const std::vector<std::string> args = {std::string(document_id), EncodeTime(server.Now()),
                                         std::string(condition)};
  CACHECLIP_ASSIGN_OR_RETURN(
      RedisReply reply, server.Run(namespace_name, CatalogScripts::Get().drop, names, args, Repeat::kNever));
  if (reply.is_nil()) return std::nullopt;
  return std::optional(std::move(reply.text));
}

absl::Status CleanUpRevision(const CatalogServer& server, std::string_view namespace_name,
                             const std::string& revision, std::set<std::string>& released) {
  const NamespaceKeys keys = server.keys(namespace_name);
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const LastBatch batch, ReadLastBatch(server, keys, revision));
    if (!batch.is_dead) return absl::OkStatus();
    std::vector<std::string> names = {keys.info(),           keys.dead(),      keys.orphans(),
                                      keys.pins(),           keys.pin_times(), keys.uses(revision),
                                      keys.changes(revision)};
    AddBucketKeys(keys, batch.chunk_ids, BucketKinds::kReferencesAndChunks, names);
    std::vector<std::string> args = {revision, absl::StrCat(batch.num_batches)};
    args.insert(args.end(), batch.chunk_ids.begin(), batch.chunk_ids.end());
    CACHECLIP_ASSIGN_OR_RETURN(
        const RedisReply reply,
        server.Run(namespace_name, CatalogScripts::Get().unlink, names, args, Repeat::kHarmless));
    if (reply.is_nil()) continue;  // somebody else cleaned up that batch
    if (reply.elements.size() != 2) return UnexpectedReply("unlink");
    CACHECLIP_RETURN_IF_ERROR(ReleaseChunks(server, namespace_name, IntegerOf(reply.elements[0]),
                                            TextsOf(reply.elements[1]), released));
    if (batch.num_batches <= 1) return absl::OkStatus();
  }
}

absl::StatusOr<bool> AbandonRevision(const CatalogServer& server, std::string_view namespace_name,
                                     const std::string& revision, absl::Time limit,
                                     std::set<std::string>& released) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<std::string> names = {keys.staged(), keys.dead()};
  const std::vector<std::string> args = {revision, EncodeTime(limit)};
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply, server.Run(namespace_name, CatalogScripts::Get().abandon,
                                                                names, args, Repeat::kHarmless));
  CACHECLIP_RETURN_IF_ERROR(CleanUpRevision(server, namespace_name, revision, released));
  return reply.integer == 1;
}

absl::Status ReleaseChunks(const CatalogServer& server, std::string_view namespace_name, int64_t sequence,
                           std::span<const std::string> chunk_ids, std::set<std::string>& released) {
  if (chunk_ids.empty()) return absl::OkStatus();
  std::vector<std::string> holders;
  for (const std::string& chunk_id : chunk_ids) holders.push_back(HoldersKey(server.root(), chunk_id));
  const std::string limit = absl::StrCat(sequence);
  const std::vector<std::string> args = {std::string(namespace_name), limit};
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<int64_t> is_free,
                             server.RunOnEach(CatalogScripts::Get().release, holders, args));
  std::vector<std::string> orphans = {limit};
  orphans.insert(orphans.end(), chunk_ids.begin(), chunk_ids.end());
  const std::vector<std::string> names = {server.keys(namespace_name).orphans()};
  CACHECLIP_RETURN_IF_ERROR(
      server.Run(namespace_name, CatalogScripts::Get().forget_orphans, names, orphans, Repeat::kHarmless)
          .status());
  for (size_t i = 0; i < chunk_ids.size(); ++i)
    if (is_free[i] == 1) released.insert(chunk_ids[i]);
  return absl::OkStatus();
}

}  // namespace cacheclip
