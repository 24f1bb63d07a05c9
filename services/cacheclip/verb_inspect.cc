// cacheclip inspect: what a data folder holds, or the header of one chunk. Needs no server and no model.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/embedded_stores.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  std::string data_dir, chunk_id;
  bool json = false;
};

absl::StatusOr<nlohmann::json> DescribeNamespaces(Catalog& catalog) {
  nlohmann::json list = nlohmann::json::array();
  CACHECLIP_ASSIGN_OR_RETURN(const auto namespaces, catalog.ListNamespaces());
  for (const Namespace& found : namespaces) {
    int64_t num_documents = 0, num_chunks = 0;
    std::string page_token;
    do {
      CACHECLIP_ASSIGN_OR_RETURN(const DocumentPage page,
                                 catalog.ListDocuments(found.name, kMaxPageSize, page_token));
      num_documents += static_cast<int64_t>(page.documents.size());
      for (const Document& document : page.documents)
        num_chunks += static_cast<int64_t>(document.chunks.size());
      page_token = page.next_page_token;
    } while (!page_token.empty());
    nlohmann::json prefixes = nlohmann::json::array();
    CACHECLIP_ASSIGN_OR_RETURN(const auto registered, catalog.ListPrefixes(found.name));
    for (const Prefix& prefix : registered)
      prefixes.push_back(
          {{"prefix_id", prefix.prefix_id}, {"tokens", prefix.num_tokens()}, {"default", prefix.is_default}});
    list.push_back(
        {{"name", found.name}, {"documents", num_documents}, {"chunks", num_chunks}, {"prefixes", prefixes}});
  }
  return list;
}

absl::StatusOr<nlohmann::json> DescribeFolder(EmbeddedStores& stores) {
  const StoreStats stats = stores.chunks->stats();
  nlohmann::json object = {{"data_dir", stores.data_folder},
                           {"disk", {{"bytes", stats.bytes}, {"chunks", stats.objects}}},
                           {"namespaces", nlohmann::json::array()}};
  const absl::StatusOr<nlohmann::json> namespaces = DescribeNamespaces(*stores.catalog);
  if (namespaces.ok()) object["namespaces"] = *namespaces;
  if (!namespaces.ok() && !absl::IsUnavailable(namespaces.status())) return namespaces.status();
  return object;
}

absl::StatusOr<nlohmann::json> DescribeChunk(EmbeddedStores& stores, const std::string& chunk_id) {
  absl::StatusOr<ChunkKey> key = ChunkKey::FromHex(chunk_id);
  if (!key.ok()) return InvalidField("chunk_id", "must be 64 hexadecimal digits");
  CACHECLIP_ASSIGN_OR_RETURN(const StoreHit hit, stores.chunks->Get(*key));
  const ChunkHeader& header = hit.chunk->header();
  return nlohmann::json{{"chunk_id", chunk_id},
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
  app.add_option("CHUNK_ID", flags->chunk_id, "show this chunk's header");
  app.add_option("--data-dir", flags->data_dir, "data folder of the server")->envname("CACHECLIP_DATA_DIR");
  app.add_flag("--json", flags->json, "stdout is exactly one JSON object");
  return [flags] {
    absl::StatusOr<EmbeddedStores> stores = OpenEmbeddedStores(flags->data_dir);
    if (!stores.ok()) return ReportError(stores.status());
    const absl::StatusOr<nlohmann::json> report =
        flags->chunk_id.empty() ? DescribeFolder(*stores) : DescribeChunk(*stores, flags->chunk_id);
    if (!report.ok()) return ReportError(report.status());
    if (flags->json) {
      PrintJson(*report);
    } else {
      std::fputs(AsLines(*report).c_str(), stdout);
    }
    return static_cast<int>(kExitOk);
  };
}

}  // namespace cacheclip
