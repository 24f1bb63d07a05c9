#include "common/catalog/redis/catalog_check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/catalog/records.h"
#include "common/catalog/redis/record_codec.h"
#include "common/catalog/redis/redis_namespaces.h"

namespace cacheclip {
namespace {

constexpr size_t kChunkIdDigits = 64;

using Names = std::set<std::string>;
using Fields = std::map<std::string, std::string>;

// One namespace's keys, read whole.
struct Space {
  Names document_ids, live, expiring, references, chunks, pins;
  Fields documents, staged, dead, orphans, pin_times;
};

Names NamesOf(const RedisReply& reply) {
  const std::vector<std::string> texts = TextsOf(reply);
  return Names(texts.begin(), texts.end());
}

Fields FieldsOf(const RedisReply& reply) {
  Fields fields;
  for (size_t i = 0; i + 1 < reply.elements.size(); i += 2)
    fields[reply.elements[i].text] = reply.elements[i + 1].text;
  return fields;
}

class Checker {
 public:
  Checker(const CatalogServer& server, CatalogCheck& check) : server_(server), check_(check) {}

  absl::Status CheckSpace(const std::string& name);
  absl::Status CheckHolders();

 private:
  void Problem(std::string text) { check_.AddProblem(std::move(text)); }
  // Names a few members of the one set that the other lacks.
  void Compare(const std::string& what, const Names& counted, const Names& found);

  absl::StatusOr<Names> Read(RedisCommand command);
  absl::StatusOr<Fields> ReadHash(const std::string& key);
  absl::StatusOr<Space> ReadSpace(const NamespaceKeys& keys);
  absl::Status CheckBuckets(const NamespaceKeys& keys, Space& space);
  // The references of one revision, added to `references`.
  absl::Status Recount(const NamespaceKeys& keys, const std::string& revision, const std::string& expiry,
                       std::optional<size_t> num_uses, Names& references);
  absl::Status CheckDocuments(const std::string& name, const NamespaceKeys& keys, const Space& space,
                              Names& references);
  void CheckPins(const std::string& name, const Space& space);

  const CatalogServer& server_;
  CatalogCheck& check_;
  std::set<std::pair<std::string, std::string>> must_hold_, may_hold_;  // (chunk id, namespace)
};

void Checker::Compare(const std::string& what, const Names& counted, const Names& found) {
  for (const std::string& name : counted)
    if (!found.contains(name)) Problem(absl::StrCat(what, ": ", name, " is missing"));
  for (const std::string& name : found)
    if (!counted.contains(name)) Problem(absl::StrCat(what, ": ", name, " is too much"));
}

absl::StatusOr<Names> Checker::Read(RedisCommand command) {
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply, server_.Execute(command));
  return NamesOf(reply);
}

absl::StatusOr<Fields> Checker::ReadHash(const std::string& key) {
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply, server_.Execute({.args = {"HGETALL", key}}));
  return FieldsOf(reply);
}

absl::Status Checker::CheckBuckets(const NamespaceKeys& keys, Space& space) {
  std::vector<RedisCommand> commands;
  for (int index = 0; index < kNumCatalogBuckets; ++index) {
    const std::string bucket = BucketName(index);
    commands.push_back({.args = {"HGETALL", keys.documents(bucket)}});
    commands.push_back({.args = {"HKEYS", keys.chunks(bucket)}});
    commands.push_back({.args = {"ZRANGE", keys.references(bucket), "0", "-1"}});
  }
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<RedisReply> replies, server_.Pipeline(commands));
  for (int index = 0; index < kNumCatalogBuckets; ++index) {
    const std::string bucket = BucketName(index);
    const Fields documents = FieldsOf(replies[3 * index]);
    for (const auto& [id, record] : documents)
      if (DocumentBucket(id) != bucket) Problem(absl::StrCat("document ", id, " lies in bucket ", bucket));
    space.documents.insert(documents.begin(), documents.end());
    const Names chunks = NamesOf(replies[3 * index + 1]), references = NamesOf(replies[3 * index + 2]);
    for (const Names* names : {&chunks, &references})
      for (const std::string& name : *names)
        if (ChunkBucket(name) != bucket) Problem(absl::StrCat("chunk ", name, " lies in bucket ", bucket));
    space.chunks.insert(chunks.begin(), chunks.end());
    space.references.insert(references.begin(), references.end());
  }
  return absl::OkStatus();
}

absl::StatusOr<Space> Checker::ReadSpace(const NamespaceKeys& keys) {
  Space space;
  CACHECLIP_ASSIGN_OR_RETURN(space.document_ids, Read({.args = {"ZRANGE", keys.document_ids(), "0", "-1"}}));
  CACHECLIP_ASSIGN_OR_RETURN(space.expiring, Read({.args = {"ZRANGE", keys.expiring(), "0", "-1"}}));
  CACHECLIP_ASSIGN_OR_RETURN(space.pins, Read({.args = {"ZRANGE", keys.pins(), "0", "-1"}}));
  CACHECLIP_ASSIGN_OR_RETURN(space.live, Read({.args = {"SMEMBERS", keys.live()}}));
  CACHECLIP_ASSIGN_OR_RETURN(space.staged, ReadHash(keys.staged()));
  CACHECLIP_ASSIGN_OR_RETURN(space.dead, ReadHash(keys.dead()));
  CACHECLIP_ASSIGN_OR_RETURN(space.orphans, ReadHash(keys.orphans()));
  CACHECLIP_ASSIGN_OR_RETURN(space.pin_times, ReadHash(keys.pin_times()));
  CACHECLIP_RETURN_IF_ERROR(CheckBuckets(keys, space));
  return space;
}

absl::Status Checker::Recount(const NamespaceKeys& keys, const std::string& revision,
                              const std::string& expiry, std::optional<size_t> num_uses, Names& references) {
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply,
                             server_.Execute({.args = {"LRANGE", keys.uses(revision), "0", "-1"}}));
  std::vector<ChunkReference> uses;
  for (const RedisReply& batch : reply.elements) CACHECLIP_RETURN_IF_ERROR(UnpackUses(batch.text, uses));
  if (num_uses && uses.size() != *num_uses)
    Problem(
        absl::StrCat("revision ", revision, " has ", uses.size(), " uses, its document says ", *num_uses));
  for (const ChunkReference& use : uses) references.insert(absl::StrCat(use.chunk_id, expiry, revision));
  return absl::OkStatus();
}

absl::Status Checker::CheckDocuments(const std::string& name, const NamespaceKeys& keys, const Space& space,
                                     Names& references) {
  Names ids, revisions, expiring;
  for (const auto& [id, record] : space.documents) {
    CACHECLIP_ASSIGN_OR_RETURN(const StoredDocument stored, UnpackDocument(name, id, record));
    const std::string expiry = EncodeTime(stored.document.expire_time);
    ids.insert(id);
    revisions.insert(stored.revision);
    if (stored.document.expire_time != absl::InfiniteFuture()) expiring.insert(absl::StrCat(expiry, id));
    Names used;
    CACHECLIP_RETURN_IF_ERROR(Recount(keys, stored.revision, expiry, stored.num_uses, used));
    for (const std::string& use : used) must_hold_.insert({use.substr(0, kChunkIdDigits), name});
    references.merge(used);
  }
  check_.num_documents += static_cast<int64_t>(ids.size());
  Compare(absl::StrCat(name, ": listed documents"), ids, space.document_ids);
  Compare(absl::StrCat(name, ": live revisions"), revisions, space.live);
  Compare(absl::StrCat(name, ": expiring documents"), expiring, space.expiring);
  return absl::OkStatus();
}

void Checker::CheckPins(const std::string& name, const Space& space) {
  Names timed;
  for (const auto& [pin, expiry] : space.pin_times) {
    timed.insert(pin);
    if (!space.chunks.contains(pin.substr(0, kChunkIdDigits)))
      Problem(absl::StrCat(name, ": pin ", pin, " holds no chunk"));
  }
  Compare(absl::StrCat(name, ": pins"), timed, space.pins);
}

absl::Status Checker::CheckSpace(const std::string& name) {
  const NamespaceKeys keys = server_.keys(name);
  CACHECLIP_ASSIGN_OR_RETURN(const Space space, ReadSpace(keys));
  Names references, chunks;
  CACHECLIP_RETURN_IF_ERROR(CheckDocuments(name, keys, space, references));
  for (const auto& [revision, times] : space.staged)
    CACHECLIP_RETURN_IF_ERROR(Recount(keys, revision, times.substr(kTimeDigits), std::nullopt, references));
  for (const auto& [revision, expiry] : space.dead) {
    Names rest;  // of which some may be dropped already: a chunk can be used in several batches
    CACHECLIP_RETURN_IF_ERROR(Recount(keys, revision, expiry, std::nullopt, rest));
    for (const std::string& reference : rest)
      if (space.references.contains(reference)) references.insert(reference);
  }
  Compare(absl::StrCat(name, ": references"), references, space.references);
  for (const std::string& reference : references) chunks.insert(reference.substr(0, kChunkIdDigits));
  Compare(absl::StrCat(name, ": chunk records"), chunks, space.chunks);
  for (const std::string& chunk : chunks) may_hold_.insert({chunk, name});
  for (const auto& [chunk, sequence] : space.orphans) {
    may_hold_.insert({chunk, name});
    if (chunks.contains(chunk)) Problem(absl::StrCat(name, ": orphan ", chunk, " is referenced"));
  }
  CheckPins(name, space);
  check_.num_chunks += static_cast<int64_t>(chunks.size());
  check_.num_leftovers +=
      static_cast<int64_t>(space.staged.size() + space.dead.size() + space.orphans.size());
  return absl::OkStatus();
}

absl::Status Checker::CheckHolders() {
  Names keys;
  const absl::Status scanned = server_.client().Scan(
      HoldersPattern(server_.root()), [&](const std::string& key) { return keys.insert(key), true; },
      server_.call_options(Repeat::kHarmless));
  if (!scanned.ok()) return server_.Translate(scanned);
  for (const std::string& key : keys) {
    const std::string chunk_id = ChunkIdOfHoldersKey(server_.root(), key);
    CACHECLIP_ASSIGN_OR_RETURN(const Names spaces, Read({.args = {"ZRANGE", key, "0", "-1"}}));
    for (const std::string& name : spaces) {
      ++check_.num_holds;
      must_hold_.erase({chunk_id, name});
      if (!may_hold_.contains({chunk_id, name}))
        Problem(absl::StrCat(name, " holds chunk ", chunk_id, " and does not use it"));
    }
  }
  for (const auto& [chunk_id, name] : must_hold_)
    Problem(absl::StrCat(name, " uses chunk ", chunk_id, " and does not hold it"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CatalogCheck> CheckCatalog(const CatalogServer& server) {
  CatalogCheck check;
  Checker checker(server, check);
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<Namespace> spaces, ReadNamespaces(server));
  check.num_namespaces = static_cast<int64_t>(spaces.size());
  for (const Namespace& space : spaces) CACHECLIP_RETURN_IF_ERROR(checker.CheckSpace(space.name));
  CACHECLIP_RETURN_IF_ERROR(checker.CheckHolders());
  return check;
}

}  // namespace cacheclip
