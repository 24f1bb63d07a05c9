#include "common/catalog/redis/leftovers.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/catalog/redis/catalog_scripts.h"
#include "common/catalog/redis/document_reads.h"
#include "common/catalog/redis/document_removal.h"
#include "common/catalog/redis/record_codec.h"

namespace cacheclip {
namespace {

constexpr int kDocumentsPerStep = 100;

absl::Status SweepPins(const CatalogServer& server, std::string_view namespace_name) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<std::string> names = {keys.pins(), keys.pin_times()};
  std::vector<std::string> args = {"", EncodeTime(server.Now())};
  do {
    CACHECLIP_ASSIGN_OR_RETURN(
        const RedisReply reply,
        server.Run(namespace_name, CatalogScripts::Get().sweep_pins, names, args, Repeat::kHarmless));
    args[0] = reply.text;
  } while (!args[0].empty());
  return absl::OkStatus();
}

// 1 if the document was there under that condition and is gone now.
absl::StatusOr<int64_t> RemoveDocument(const CatalogServer& server, std::string_view namespace_name,
                                       std::string_view document_id, std::string_view condition,
                                       std::set<std::string>& released) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::optional<std::string> revision,
                             DropDocument(server, namespace_name, document_id, condition));
  if (!revision) return 0;
  CACHECLIP_RETURN_IF_ERROR(CleanUpRevision(server, namespace_name, *revision, released));
  return 1;
}

absl::StatusOr<int64_t> SweepDocuments(const CatalogServer& server, std::string_view namespace_name,
                                       std::set<std::string>& released) {
  const std::string end = absl::StrCat("(", EncodeTime(NextMoment(server.Now())));
  std::string last;
  int64_t num_documents = 0;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply,
                               server.Execute({.args = {"ZRANGEBYLEX", server.keys(namespace_name).expiring(),
                                                        absl::StrCat("(", last), end, "LIMIT", "0",
                                                        absl::StrCat(kDocumentsPerStep)}}));
    if (reply.elements.empty()) return num_documents;
    for (const std::string& entry : TextsOf(reply)) {
      CACHECLIP_ASSIGN_OR_RETURN(
          const int64_t num_removed,
          RemoveDocument(server, namespace_name, entry.substr(kTimeDigits), kIfExpired, released));
      num_documents += num_removed;
      last = entry;
    }
  }
}

absl::Status SweepStaged(const CatalogServer& server, std::string_view namespace_name,
                         absl::Time staged_before, std::set<std::string>& released) {
  std::string cursor = "0";
  const std::string limit = EncodeTime(staged_before);
  do {
    CACHECLIP_ASSIGN_OR_RETURN(
        const RedisReply reply,
        server.Execute({.args = {"HSCAN", server.keys(namespace_name).staged(), cursor, "COUNT", "256"}}));
    if (reply.elements.size() != 2) return UnexpectedReply("HSCAN");
    cursor = reply.elements[0].text;
    const std::vector<std::string> staged = TextsOf(reply.elements[1]);
    for (size_t i = 0; i + 1 < staged.size(); i += 2)
      if (staged[i + 1].substr(0, kTimeDigits) < limit)
        CACHECLIP_RETURN_IF_ERROR(
            AbandonRevision(server, namespace_name, staged[i], staged_before, released).status());
  } while (cursor != "0");
  return absl::OkStatus();
}

absl::Status SweepDead(const CatalogServer& server, std::string_view namespace_name,
                       std::set<std::string>& released) {
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(
        const RedisReply reply,
        server.Execute({.args = {"HRANDFIELD", server.keys(namespace_name).dead(), "64"}}));
    if (reply.elements.empty()) return absl::OkStatus();
    for (const std::string& revision : TextsOf(reply))
      CACHECLIP_RETURN_IF_ERROR(CleanUpRevision(server, namespace_name, revision, released));
  }
}

absl::Status SweepOrphans(const CatalogServer& server, std::string_view namespace_name,
                          std::set<std::string>& released) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<std::string> names = {keys.info(), keys.orphans()};
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(
        const RedisReply reply,
        server.Run(namespace_name, CatalogScripts::Get().list_orphans, names, {}, Repeat::kHarmless));
    if (reply.elements.size() != 2) return UnexpectedReply("orphans");
    if (reply.elements[1].elements.empty()) return absl::OkStatus();
    CACHECLIP_RETURN_IF_ERROR(ReleaseChunks(server, namespace_name, IntegerOf(reply.elements[0]),
                                            TextsOf(reply.elements[1]), released));
  }
}

bool Matches(const Document& document, const TrimFilter& filter) {
  return document.updated_time >= filter.updated_from && document.updated_time < filter.updated_until &&
         (filter.writer_version.empty() || document.writer_version == filter.writer_version);
}

}  // namespace

absl::StatusOr<int64_t> SweepNamespace(const CatalogServer& server, std::string_view namespace_name,
                                       absl::Time staged_before, std::set<std::string>& released) {
  CACHECLIP_RETURN_IF_ERROR(SweepPins(server, namespace_name));
  CACHECLIP_ASSIGN_OR_RETURN(const int64_t num_documents, SweepDocuments(server, namespace_name, released));
  CACHECLIP_RETURN_IF_ERROR(SweepStaged(server, namespace_name, staged_before, released));
  CACHECLIP_RETURN_IF_ERROR(SweepDead(server, namespace_name, released));
  CACHECLIP_RETURN_IF_ERROR(SweepOrphans(server, namespace_name, released));
  return num_documents;
}

absl::StatusOr<int64_t> TrimNamespace(const CatalogServer& server, std::string_view namespace_name,
                                      const TrimFilter& filter, std::set<std::string>& released) {
  std::string last;
  int64_t num_documents = 0;
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const auto ids,
                               ReadDocumentIds(server, namespace_name, last, kDocumentsPerStep));
    if (ids.empty()) return num_documents;
    last = ids.back();
    CACHECLIP_ASSIGN_OR_RETURN(const auto records, ReadRecords(server, namespace_name, ids));
    for (const std::optional<StoredDocument>& record : records) {
      if (!record || !Matches(record->document, filter)) continue;
      CACHECLIP_ASSIGN_OR_RETURN(
          const int64_t num_removed,
          RemoveDocument(server, namespace_name, record->document.document_id, record->revision, released));
      num_documents += num_removed;
    }
  }
}

}  // namespace cacheclip
