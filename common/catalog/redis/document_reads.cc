#include "common/catalog/redis/document_reads.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/catalog/redis/catalog_scripts.h"
#include "common/catalog/validate.h"

namespace cacheclip {
namespace {

constexpr int64_t kExpectedRecordBytes = 1024;
constexpr int64_t kExpectedUseBytes = 48;

// Fills the lists of chunks. False where a list is not complete: its revision is being cleaned up.
absl::StatusOr<std::vector<bool>> ReadUses(const CatalogServer& server, const NamespaceKeys& keys,
                                           std::span<StoredDocument> documents) {
  std::vector<RedisCommand> commands;
  for (const StoredDocument& stored : documents)
    commands.push_back(
        {.args = {"LRANGE", keys.uses(stored.revision), "0", "-1"},
         .expected_reply_bytes = 64 + kExpectedUseBytes * static_cast<int64_t>(stored.num_uses)});
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<RedisReply> replies, server.Pipeline(commands));
  std::vector<bool> is_complete;
  for (size_t i = 0; i < replies.size(); ++i) {
    std::vector<ChunkReference>& uses = documents[i].document.chunks;
    uses.clear();
    for (const RedisReply& batch : replies[i].elements)
      CACHECLIP_RETURN_IF_ERROR(UnpackUses(batch.text, uses));
    is_complete.push_back(uses.size() == documents[i].num_uses);
  }
  return is_complete;
}

}  // namespace

absl::StatusOr<std::vector<std::optional<StoredDocument>>> ReadRecords(
    const CatalogServer& server, std::string_view namespace_name, std::span<const std::string> document_ids) {
  const NamespaceKeys keys = server.keys(namespace_name);
  std::vector<RedisCommand> commands;
  for (const std::string& document_id : document_ids)
    commands.push_back({.args = {"HGET", keys.documents(DocumentBucket(document_id)), document_id},
                        .expected_reply_bytes = kExpectedRecordBytes});
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<RedisReply> replies, server.Pipeline(commands));
  std::vector<std::optional<StoredDocument>> records;
  for (size_t i = 0; i < replies.size(); ++i) {
    records.emplace_back();
    if (replies[i].is_nil()) continue;
    CACHECLIP_ASSIGN_OR_RETURN(records.back(),
                               UnpackDocument(namespace_name, document_ids[i], replies[i].text));
  }
  return records;
}

absl::StatusOr<std::optional<Document>> FindDocument(const CatalogServer& server,
                                                     std::string_view namespace_name,
                                                     std::string_view document_id) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<std::string> ids = {std::string(document_id)};
  for (int attempt = 0; attempt < kMaxReadAttempts; ++attempt) {
    CACHECLIP_ASSIGN_OR_RETURN(auto records, ReadRecords(server, namespace_name, ids));
    if (!records[0] || records[0]->document.expire_time <= server.Now()) return std::nullopt;
    CACHECLIP_ASSIGN_OR_RETURN(const std::vector<bool> is_complete,
                               ReadUses(server, keys, std::span(&*records[0], 1)));
    if (is_complete[0]) return std::optional(std::move(records[0]->document));
  }
  return absl::UnavailableError(
      absl::StrCat("document \"", AbslView(document_id), "\" is being replaced all the time"));
}

absl::StatusOr<std::vector<std::string>> ReadDocumentIds(const CatalogServer& server,
                                                         std::string_view namespace_name,
                                                         std::string_view after, int limit) {
  const std::string above = absl::StrCat("(", AbslView(after));
  CACHECLIP_ASSIGN_OR_RETURN(
      const RedisReply reply,
      server.Execute({.args = {"ZRANGEBYLEX", server.keys(namespace_name).document_ids(), above, "+", "LIMIT",
                               "0", absl::StrCat(limit)}}));
  return TextsOf(reply);
}

absl::StatusOr<std::vector<Document>> ScanDocuments(const CatalogServer& server,
                                                    std::string_view namespace_name, std::string_view after,
                                                    int limit) {
  const NamespaceKeys keys = server.keys(namespace_name);
  std::vector<Document> documents;
  std::string last(after);
  while (static_cast<int>(documents.size()) < limit) {
    const int num_wanted = limit - static_cast<int>(documents.size());
    CACHECLIP_ASSIGN_OR_RETURN(const auto ids, ReadDocumentIds(server, namespace_name, last, num_wanted));
    if (ids.empty()) break;
    last = ids.back();
    CACHECLIP_ASSIGN_OR_RETURN(auto records, ReadRecords(server, namespace_name, ids));
    std::vector<StoredDocument> living;
    for (std::optional<StoredDocument>& record : records)
      if (record && record->document.expire_time > server.Now()) living.push_back(*std::move(record));
    CACHECLIP_ASSIGN_OR_RETURN(const std::vector<bool> is_complete, ReadUses(server, keys, living));
    for (size_t i = 0; i < living.size(); ++i) {
      std::optional<Document> document = std::move(living[i].document);
      if (!is_complete[i]) {
        const std::string document_id = document->document_id;
        CACHECLIP_ASSIGN_OR_RETURN(document, FindDocument(server, namespace_name, document_id));
      }
      if (document) documents.push_back(*std::move(document));
    }
  }
  return documents;
}

absl::StatusOr<std::vector<std::optional<ChunkRecord>>> FindChunks(const CatalogServer& server,
                                                                   std::string_view namespace_name,
                                                                   std::span<const std::string> chunk_ids) {
  std::vector<std::optional<ChunkRecord>> records(chunk_ids.size());
  std::vector<std::string> asked;
  std::vector<size_t> places;
  for (size_t i = 0; i < chunk_ids.size(); ++i) {
    if (!ValidateChunkId(chunk_ids[i]).ok()) continue;  // what is no id does not exist
    asked.push_back(chunk_ids[i]);
    places.push_back(i);
  }
  const NamespaceKeys keys = server.keys(namespace_name);
  std::vector<std::string> names = {keys.info(), keys.live()};
  AddBucketKeys(keys, asked, BucketKinds::kReferencesAndChunks, names);
  std::vector<std::string> args = {EncodeTime(server.Now())};
  args.insert(args.end(), asked.begin(), asked.end());
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply, server.Run(namespace_name, CatalogScripts::Get().resolve,
                                                                names, args, Repeat::kHarmless));
  if (reply.elements.size() != asked.size()) return UnexpectedReply("resolve");
  for (size_t i = 0; i < asked.size(); ++i) {
    if (reply.elements[i].is_nil()) continue;
    CACHECLIP_ASSIGN_OR_RETURN(records[places[i]],
                               UnpackChunk(namespace_name, asked[i], reply.elements[i].text));
  }
  return records;
}

}  // namespace cacheclip
