#include "common/catalog/redis/redis_namespaces.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/catalog/redis/catalog_scripts.h"
#include "common/catalog/redis/document_reads.h"
#include "common/catalog/redis/record_codec.h"
#include "common/catalog/validate.h"

namespace cacheclip {
namespace {

constexpr size_t kChunkIdDigits = 64;
constexpr int64_t kExpectedPrefixBytes = 64 << 10;

absl::Status TooMany(const absl::Status& status, std::string_view field, int limit, const char* what) {
  if (RedisErrorCode(status) != CatalogScripts::kTooMany) return status;
  return FieldError(absl::StatusCode::kResourceExhausted, field,
                    absl::StrCat("at most ", limit, " ", what, " are allowed"));
}

std::vector<std::string> WithIds(std::vector<std::string> args, std::span<const std::string> chunk_ids) {
  args.insert(args.end(), chunk_ids.begin(), chunk_ids.end());
  return args;
}

// What is no chunk id does not exist; the error names the first id that does not resolve.
absl::Status RefuseUnknownIds(const CatalogServer& server, std::string_view namespace_name,
                              std::span<const std::string> chunk_ids) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto records, FindChunks(server, namespace_name, chunk_ids));
  for (size_t i = 0; i < records.size(); ++i)
    if (!records[i]) return NoSuchRecord("chunk_ids", chunk_ids[i]);
  return absl::OkStatus();
}

bool AreIds(std::span<const std::string> chunk_ids) {
  return std::all_of(chunk_ids.begin(), chunk_ids.end(),
                     [](const std::string& chunk_id) { return ValidateChunkId(chunk_id).ok(); });
}

}  // namespace

absl::StatusOr<Namespace> FindNamespace(const CatalogServer& server, std::string_view name) {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(name));
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply created,
                             server.Execute({.args = {"HGET", server.keys(name).info(), "created"}}));
  if (created.is_nil()) return NoSuchRecord("namespace", name);
  CACHECLIP_ASSIGN_OR_RETURN(const absl::Time created_time, DecodeTime(created.text));
  return Namespace{std::string(name), created_time};
}

absl::StatusOr<Namespace> InsertNamespace(const CatalogServer& server, std::string_view name) {
  const std::vector<std::string> keys = {RegistryKey(server.root())};
  const std::vector<std::string> args = {std::string(name), EncodeTime(server.Now()),
                                         absl::StrCat(kMaxNamespaces)};
  const auto created =
      server.Run(name, CatalogScripts::Get().register_namespace, keys, args, Repeat::kHarmless);
  if (!created.ok()) return TooMany(created.status(), "namespace", kMaxNamespaces, "namespaces");
  CACHECLIP_ASSIGN_OR_RETURN(const absl::Time created_time, DecodeTime(created->text));
  Namespace space{std::string(name), created_time};
  CACHECLIP_RETURN_IF_ERROR(HealNamespace(server, space));
  return space;
}

absl::Status HealNamespace(const CatalogServer& server, const Namespace& space) {
  return server
      .Execute(
          {.args = {"HSETNX", server.keys(space.name).info(), "created", EncodeTime(space.created_time)}})
      .status();
}

absl::StatusOr<std::vector<Namespace>> ReadNamespaces(const CatalogServer& server) {
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply,
                             server.Execute({.args = {"HGETALL", RegistryKey(server.root())}}));
  std::vector<Namespace> namespaces;
  for (size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    CACHECLIP_ASSIGN_OR_RETURN(const absl::Time created_time, DecodeTime(reply.elements[i + 1].text));
    namespaces.push_back({reply.elements[i].text, created_time});
  }
  std::sort(namespaces.begin(), namespaces.end(),
            [](const Namespace& a, const Namespace& b) { return a.name < b.name; });
  return namespaces;
}

absl::Status ReplacePrefix(const CatalogServer& server, const Prefix& prefix) {
  const NamespaceKeys keys = server.keys(prefix.namespace_name);
  const std::vector<std::string> names = {keys.info(), keys.prefixes()};
  const std::vector<std::string> args = {prefix.prefix_id, PackPrefix(prefix), prefix.is_default ? "1" : "0",
                                         absl::StrCat(kMaxPrefixesPerNamespace)};
  const auto reply =
      server.Run(prefix.namespace_name, CatalogScripts::Get().put_prefix, names, args, Repeat::kHarmless);
  return TooMany(reply.status(), "prefix_id", kMaxPrefixesPerNamespace, "prefixes per namespace");
}

absl::StatusOr<Prefix> FindPrefix(const CatalogServer& server, std::string_view namespace_name,
                                  std::string_view prefix_id) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<std::string> names = {keys.info(), keys.prefixes()};
  const std::vector<std::string> args = {std::string(prefix_id)};
  CACHECLIP_ASSIGN_OR_RETURN(
      const RedisReply reply,
      server.Run(namespace_name, CatalogScripts::Get().get_prefix, names, args, Repeat::kHarmless));
  if (reply.elements.size() != 3) return UnexpectedReply("prefix");
  if (reply.elements[2].is_nil())
    return NoSuchRecord("prefix_id", prefix_id.empty() ? "(default)" : prefix_id);
  const std::string& found_id = reply.elements[1].text;
  CACHECLIP_ASSIGN_OR_RETURN(Prefix prefix, UnpackPrefix(namespace_name, found_id, reply.elements[2].text));
  prefix.is_default = reply.elements[0].text == found_id;
  return prefix;
}

absl::StatusOr<std::vector<Prefix>> ReadPrefixes(const CatalogServer& server,
                                                 std::string_view namespace_name) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<RedisCommand> lookups = {{.args = {"HGET", keys.info(), "default_prefix"}},
                                             {.args = {"HKEYS", keys.prefixes()}}};
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<RedisReply> found, server.Pipeline(lookups));
  std::vector<std::string> ids = TextsOf(found[1]);
  std::sort(ids.begin(), ids.end());
  std::vector<RedisCommand> commands;
  for (const std::string& id : ids)
    commands.push_back({.args = {"HGET", keys.prefixes(), id}, .expected_reply_bytes = kExpectedPrefixBytes});
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<RedisReply> records, server.Pipeline(commands));
  std::vector<Prefix> prefixes;
  for (size_t i = 0; i < ids.size(); ++i) {
    CACHECLIP_ASSIGN_OR_RETURN(Prefix prefix, UnpackPrefix(namespace_name, ids[i], records[i].text));
    prefix.is_default = ids[i] == found[0].text;
    prefixes.push_back(std::move(prefix));
  }
  return prefixes;
}

absl::Status InsertPins(const CatalogServer& server, std::string_view namespace_name,
                        std::span<const std::string> chunk_ids, std::string_view owner,
                        absl::Time expire_time) {
  if (!AreIds(chunk_ids)) return RefuseUnknownIds(server, namespace_name, chunk_ids);
  const NamespaceKeys keys = server.keys(namespace_name);
  std::vector<std::string> names = {keys.info(), keys.live(), keys.pins(), keys.pin_times()};
  AddBucketKeys(keys, chunk_ids, BucketKinds::kReferences, names);
  const auto args =
      WithIds({EncodeTime(server.Now()), std::string(owner), EncodeTime(expire_time)}, chunk_ids);
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply, server.Run(namespace_name, CatalogScripts::Get().pin,
                                                                names, args, Repeat::kHarmless));
  if (reply.integer == 0) return absl::OkStatus();
  return NoSuchRecord("chunk_ids", chunk_ids[reply.integer - 1]);
}

absl::StatusOr<int64_t> RemovePins(const CatalogServer& server, std::string_view namespace_name,
                                   std::span<const std::string> chunk_ids, std::string_view owner) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<std::string> names = {keys.info(), keys.pins(), keys.pin_times()};
  std::vector<std::string> args = {std::string(owner)};
  for (const std::string& chunk_id : chunk_ids)
    if (ValidateChunkId(chunk_id).ok()) args.push_back(chunk_id);
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply, server.Run(namespace_name, CatalogScripts::Get().unpin,
                                                                names, args, Repeat::kNever));
  return reply.integer;
}

absl::StatusOr<std::vector<Pin>> ScanPins(const CatalogServer& server, std::string_view namespace_name,
                                          std::string_view after, int limit) {
  const NamespaceKeys keys = server.keys(namespace_name);
  const std::vector<std::string> names = {keys.info(), keys.pins(), keys.pin_times()};
  std::vector<Pin> pins;
  std::string last(after);
  do {
    const std::vector<std::string> args = {last, absl::StrCat(limit - pins.size()), EncodeTime(server.Now())};
    CACHECLIP_ASSIGN_OR_RETURN(
        const RedisReply reply,
        server.Run(namespace_name, CatalogScripts::Get().list_pins, names, args, Repeat::kHarmless));
    const std::vector<std::string> found = TextsOf(reply);
    if (found.empty()) return UnexpectedReply("pins");
    for (size_t i = 1; i + 1 < found.size(); i += 2) {
      CACHECLIP_ASSIGN_OR_RETURN(const absl::Time expire_time, DecodeTime(found[i + 1]));
      pins.push_back({found[i].substr(0, kChunkIdDigits), found[i].substr(kChunkIdDigits), expire_time});
    }
    last = found[0];
  } while (!last.empty() && static_cast<int>(pins.size()) < limit);
  return pins;
}

}  // namespace cacheclip
