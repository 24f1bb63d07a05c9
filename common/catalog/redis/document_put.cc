#include "common/catalog/redis/document_put.h"

#include <cstdint>
#include <random>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/catalog/redis/catalog_scripts.h"
#include "common/catalog/redis/record_codec.h"
#include "common/catalog/validate.h"

namespace cacheclip {
namespace {

// A run of the document's uses, and the records of the chunks that it uses first.
struct Batch {
  size_t index = 0;
  std::string uses;
  std::vector<std::string> chunk_ids;
  std::vector<std::string> records;  // as chunk_ids
};

class Batches {
 public:
  Batches(const Document& document, std::span<const ChunkRecord> chunks) : document_(document) {
    for (const ChunkRecord& chunk : chunks) records_[chunk.chunk_id] = &chunk;  // the last one wins
  }

  bool Next(Batch& batch) {
    if (num_batches_ > 0 && begin_ == document_.chunks.size()) return false;
    batch = {.index = num_batches_++};
    size_t end = begin_, num_bytes = 0;
    for (; end < document_.chunks.size() && end - begin_ < kMaxUsesPerBatch; ++end) {
      const std::string& chunk_id = document_.chunks[end].chunk_id;
      if (sent_.contains(chunk_id)) continue;
      std::string record = PackChunk(*records_.at(chunk_id));
      if (!batch.records.empty() && num_bytes + record.size() > kMaxBatchBytes) break;
      num_bytes += record.size();
      sent_.insert(chunk_id);
      batch.chunk_ids.push_back(chunk_id);
      batch.records.push_back(std::move(record));
    }
    batch.uses = PackUses(std::span(document_.chunks).subspan(begin_, end - begin_));
    begin_ = end;
    return true;
  }

 private:
  const Document& document_;
  std::unordered_map<std::string_view, const ChunkRecord*> records_;
  std::unordered_set<std::string_view> sent_;
  size_t begin_ = 0;
  size_t num_batches_ = 0;
};

absl::Status TranslateError(const absl::Status& status, const Document& document) {
  const std::string code = RedisErrorCode(status);
  if (code == CatalogScripts::kNoPrefix) return NoSuchRecord("prefix_id", document.prefix_id);
  if (code == CatalogScripts::kGone)
    return absl::AbortedError(absl::StrCat("the write of document \"", AbslView(document.document_id),
                                           "\" took so long that it was given up"));
  return status;
}

struct Staged {
  std::string sequence;
  std::vector<std::string> unused;  // ids that no living document of the namespace used
};

absl::StatusOr<Staged> StageBatch(const CatalogServer& server, const Document& document, const Batch& batch,
                                  const std::string& revision) {
  const NamespaceKeys keys = server.keys(document.namespace_name);
  std::vector<std::string> names = {keys.info(),    keys.prefixes(),     keys.staged(),         keys.live(),
                                    keys.orphans(), keys.uses(revision), keys.changes(revision)};
  AddBucketKeys(keys, batch.chunk_ids, BucketKinds::kReferencesAndChunks, names);
  std::vector<std::string> args = {
      revision,           EncodeTime(server.Now()),  EncodeTime(document.expire_time),
      document.prefix_id, absl::StrCat(batch.index), batch.uses};
  for (size_t i = 0; i < batch.chunk_ids.size(); ++i) {
    args.push_back(batch.chunk_ids[i]);
    args.push_back(batch.records[i]);
  }
  const auto reply =
      server.Run(document.namespace_name, CatalogScripts::Get().stage, names, args, Repeat::kHarmless);
  if (!reply.ok()) return TranslateError(reply.status(), document);
  if (reply->elements.size() != 3) return UnexpectedReply("stage");
  return Staged{absl::StrCat(IntegerOf(reply->elements[0])), TextsOf(reply->elements[2])};
}

// A hold is as new as the sequence it was taken at: whoever found the chunk unused before that cannot take it
// away any more.
absl::Status Hold(const CatalogServer& server, const std::string& namespace_name, const Staged& staged) {
  std::vector<RedisCommand> commands;
  for (const std::string& chunk_id : staged.unused)
    commands.push_back(
        {.args = {"ZADD", HoldersKey(server.root(), chunk_id), "GT", staged.sequence, namespace_name}});
  return server.Pipeline(commands).status();
}

}  // namespace

std::string RandomRevision() {
  std::random_device device;
  const uint64_t bits = (uint64_t{device()} << 32) | device();
  return absl::StrCat(absl::Hex(bits, absl::kZeroPad16));
}

absl::Status StageDocument(const CatalogServer& server, const Document& document,
                           std::span<const ChunkRecord> chunks, const std::string& revision) {
  Batches batches(document, chunks);
  for (Batch batch; batches.Next(batch);) {
    CACHECLIP_ASSIGN_OR_RETURN(const Staged staged, StageBatch(server, document, batch, revision));
    CACHECLIP_RETURN_IF_ERROR(Hold(server, document.namespace_name, staged));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> CommitDocument(const CatalogServer& server, const Document& document,
                                           const std::string& revision) {
  const NamespaceKeys keys = server.keys(document.namespace_name);
  std::vector<std::string> names = {keys.info(),
                                    keys.staged(),
                                    keys.live(),
                                    keys.document_ids(),
                                    keys.documents(DocumentBucket(document.document_id)),
                                    keys.expiring(),
                                    keys.dead(),
                                    keys.changes(revision)};
  std::vector<std::string> chunk_ids;
  for (const ChunkReference& use : document.chunks) chunk_ids.push_back(use.chunk_id);
  AddBucketKeys(keys, chunk_ids, BucketKinds::kReferencesAndChunks, names);
  const std::vector<std::string> args = {revision,
                                         EncodeTime(server.Now()),
                                         EncodeTime(document.expire_time),
                                         document.document_id,
                                         EncodeCount(document.chunks.size()),
                                         PackDocumentBody(document)};
  const auto reply =
      server.Run(document.namespace_name, CatalogScripts::Get().commit, names, args, Repeat::kHarmless);
  if (!reply.ok()) return TranslateError(reply.status(), document);
  return reply->text;
}

}  // namespace cacheclip
