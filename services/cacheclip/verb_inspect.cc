// cacheclip inspect: what each tier holds and for whom, or the header of one chunk. Needs no server and no
// model.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/stored/stored.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/paths.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  ProgramOptions program;
  std::string chunk_id, tier;
};

absl::StatusOr<nlohmann::json> DescribeNamespace(Catalog& catalog, const std::string& name) {
  int64_t num_documents = 0, num_chunks = 0;
  CACHECLIP_RETURN_IF_ERROR(ForEachDocument(catalog, name, [&](const Document& document) {
    ++num_documents;
    num_chunks += static_cast<int64_t>(document.chunks.size());
    return absl::OkStatus();
  }));
  nlohmann::json prefixes = nlohmann::json::array();
  CACHECLIP_ASSIGN_OR_RETURN(const auto registered, catalog.ListPrefixes(name));
  for (const Prefix& prefix : registered)
    prefixes.push_back(
        {{"prefix_id", prefix.prefix_id}, {"tokens", prefix.num_tokens()}, {"default", prefix.is_default}});
  return nlohmann::json{
      {"name", name}, {"documents", num_documents}, {"chunks", num_chunks}, {"prefixes", prefixes}};
}

absl::Status DescribeNamespaces(Catalog& catalog, nlohmann::json& described) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<Namespace> namespaces, catalog.ListNamespaces());
  for (const Namespace& found : namespaces) {
    CACHECLIP_ASSIGN_OR_RETURN(nlohmann::json one, DescribeNamespace(catalog, found.name));
    described.push_back(std::move(one));
  }
  return absl::OkStatus();
}

// Not there yet, or it does not answer: what it would say is missing, and that is said.
nlohmann::json Unavailable(const absl::Status& status) {
  return {{"unavailable", std::string(status.message())}};
}

nlohmann::json ToJson(const TierShare& share) { return {{"chunks", share.chunks}, {"bytes", share.bytes}}; }

absl::StatusOr<nlohmann::json> DescribeTier(const StoreTier& tier, const References& references) {
  CACHECLIP_ASSIGN_OR_RETURN(const TierSurvey survey, SurveyTier(tier, references));
  nlohmann::json object = ToJson(survey.all);
  for (size_t i = 0; i < references.namespaces.size(); ++i)
    object["namespaces"][references.namespaces[i]] = ToJson(survey.by_namespace[i]);
  if (!references.status.ok()) return object;  // whose the chunks are is not known
  object["unreferenced"] = ToJson(survey.unreferenced);
  object["missing"] = survey.missing;
  return object;
}

absl::StatusOr<nlohmann::json> DescribeAll(const Stored& stored, const Config& config) {
  nlohmann::json object = {{"data_dir", DataFolder(config)}, {"namespaces", nlohmann::json::array()}};
  CACHECLIP_ASSIGN_OR_RETURN(const References references, ReadReferences(*stored.catalog));
  if (!references.status.ok()) object["catalog"] = Unavailable(references.status);
  for (const StoreTier& tier : stored.tiers) {
    const std::string name(TierName(tier.tier));
    absl::StatusOr<nlohmann::json> described = DescribeTier(tier, references);
    // A tier that is down is a finding; the others are shown all the same.
    object[name] = described.ok() ? *std::move(described)
                                  : nlohmann::json{{"error", std::string(described.status().message())}};
  }
  if (!references.status.ok()) return object;
  const absl::Status status = DescribeNamespaces(*stored.catalog, object["namespaces"]);
  if (absl::IsUnavailable(status)) object["catalog"] = Unavailable(status);
  if (!status.ok() && !absl::IsUnavailable(status)) return status;
  return object;
}

// The fastest tier that holds the chunk shows it; `tiers` names all that do.
absl::StatusOr<StoreHit> FindChunk(const Stored& stored, const ChunkKey& key, nlohmann::json& tiers) {
  absl::StatusOr<StoreHit> found = absl::NotFoundError("no tier holds this chunk");
  for (const StoreTier& tier : stored.tiers) {
    auto hit = tier.store->Get(key, {.changes_nothing = true});
    if (hit.ok()) tiers.push_back(std::string(TierName(tier.tier)));
    if (hit.ok() && !found.ok()) found = std::move(hit);
  }
  return found;
}

absl::StatusOr<nlohmann::json> DescribeUsers(Catalog& catalog, const ChunkKey& key) {
  const absl::StatusOr<ChunkUsers> users = FindUsers(catalog, key);
  if (absl::IsUnavailable(users.status())) return Unavailable(users.status());
  CACHECLIP_RETURN_IF_ERROR(users.status());
  return nlohmann::json{{"namespaces", users->namespaces},
                        {"documents", users->num_documents},
                        {"listed_documents", users->documents}};
}

absl::StatusOr<nlohmann::json> DescribeChunk(const Stored& stored, const std::string& chunk_id) {
  absl::StatusOr<ChunkKey> key = ChunkKey::FromHex(chunk_id);
  if (!key.ok()) return InvalidField("chunk_id", "must be 64 hexadecimal digits");
  nlohmann::json tiers = nlohmann::json::array();
  CACHECLIP_ASSIGN_OR_RETURN(const StoreHit hit, FindChunk(stored, *key, tiers));
  CACHECLIP_ASSIGN_OR_RETURN(const nlohmann::json users, DescribeUsers(*stored.catalog, *key));
  const ChunkHeader& header = hit.chunk->header();
  return nlohmann::json{{"chunk_id", chunk_id},
                        {"tiers", tiers},
                        {"used_by", users},
                        {"shape", header.shape.ToString()},
                        {"tokens", header.num_tokens()},
                        {"prefix_tokens", header.prefix_ids.size()},
                        {"bytes", hit.chunk->total_bytes()},
                        {"slices", hit.chunk->slices().size()},
                        {"model_fingerprint", ToHex(header.model_fingerprint)},
                        {"tokenizer_fingerprint", ToHex(header.tokenizer_fingerprint)},
                        {"writer_version", header.writer_version},
                        {"created_unix_seconds", header.created_unix_seconds}};
}

// Two levels of JSON as indented lines.
std::string AsLines(const nlohmann::json& object) {
  std::string text;
  for (const auto& [key, value] : object.items()) absl::StrAppend(&text, key, ": ", value.dump(), "\n");
  return text;
}

}  // namespace

VerbRun AddInspect(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("CHUNK_ID", flags->chunk_id,
                 "show this chunk's header, which tiers hold it and which documents use it");
  app.add_option("--tier", flags->tier, "this tier alone")->check(CLI::IsMember({"disk", "redis", "object"}));
  AddSettings(app, &flags->program);
  app.add_flag("--json", flags->program.json, "stdout is exactly one JSON object");
  return [flags] {
    return RunWithConfig(flags->program, [&](const Config& config) {
      const absl::StatusOr<Stored> stored = OpenStored(config, flags->tier, CatalogAccess::kReadOnly);
      if (!stored.ok()) return ReportError(stored.status());
      const absl::StatusOr<nlohmann::json> report =
          flags->chunk_id.empty() ? DescribeAll(*stored, config) : DescribeChunk(*stored, flags->chunk_id);
      if (!report.ok()) return ReportError(report.status());
      if (flags->program.json) {
        PrintJson(*report);
      } else {
        std::fputs(AsLines(*report).c_str(), stdout);
      }
      return static_cast<int>(kExitOk);
    });
  };
}

}  // namespace cacheclip
