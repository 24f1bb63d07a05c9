// cacheclip verify: reads every stored chunk and compares its checksums; compares catalogue and store. A
// damaged chunk is deleted as at any read (its KV is computed again when asked for). Chunks of the catalogue
// that are not stored are no damage either: evicted. Exit code 1 if anything was damaged.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/embedded_stores.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Findings {
  int64_t num_stored = 0, bytes = 0, num_referenced = 0, num_missing = 0;
  std::vector<std::string> damaged;  // "chunk id: reason"
};

absl::Status VerifyChunks(DiskChunkStore& store, Findings& findings) {
  std::vector<ChunkKey> keys;
  CACHECLIP_RETURN_IF_ERROR(store.ForEach([&](const ChunkKey& key, int64_t bytes) {
    keys.push_back(key);
    findings.bytes += bytes;
  }));
  ProgressLine progress;
  for (size_t i = 0; i < keys.size(); ++i) {
    const absl::Status status = store.Get(keys[i]).status();
    if (absl::IsDataLoss(status))
      findings.damaged.push_back(keys[i].ToHex() + ": " + std::string(status.message()));
    progress.Update("chunks", static_cast<int64_t>(i) + 1, static_cast<int64_t>(keys.size()));
  }
  findings.num_stored = static_cast<int64_t>(keys.size());
  return absl::OkStatus();
}

absl::Status VerifyReferences(EmbeddedStores& stores, Findings& findings) {
  absl::flat_hash_set<std::string> seen;
  CACHECLIP_ASSIGN_OR_RETURN(const auto namespaces, stores.catalog->ListNamespaces());
  for (const Namespace& found : namespaces) {
    std::string page_token;
    do {
      CACHECLIP_ASSIGN_OR_RETURN(const DocumentPage page,
                                 stores.catalog->ListDocuments(found.name, kMaxPageSize, page_token));
      for (const Document& document : page.documents)
        for (const ChunkReference& chunk : document.chunks) seen.insert(chunk.chunk_id);
      page_token = page.next_page_token;
    } while (!page_token.empty());
  }
  for (const std::string& id : seen) {
    CACHECLIP_ASSIGN_OR_RETURN(const ChunkKey key, ChunkKey::FromHex(id));
    CACHECLIP_ASSIGN_OR_RETURN(const bool stored, stores.chunks->Contains(key));
    findings.num_missing += !stored;
  }
  findings.num_referenced = static_cast<int64_t>(seen.size());
  return absl::OkStatus();
}

absl::StatusOr<Findings> Verify(const std::string& data_dir) {
  CACHECLIP_ASSIGN_OR_RETURN(EmbeddedStores stores, OpenEmbeddedStores(data_dir));
  Findings findings;
  CACHECLIP_RETURN_IF_ERROR(VerifyChunks(*stores.chunks, findings));
  const absl::Status status = VerifyReferences(stores, findings);
  if (!status.ok() && !absl::IsUnavailable(status))
    return status;  // no catalogue yet: nothing refers to anything
  return findings;
}

void Report(const Findings& findings, bool json) {
  if (json) {
    PrintJson({{"chunks_stored", findings.num_stored},
               {"bytes", findings.bytes},
               {"chunks_damaged", findings.damaged.size()},
               {"damaged", findings.damaged},
               {"chunks_referenced", findings.num_referenced},
               {"chunks_missing", findings.num_missing},
               {"ok", findings.damaged.empty()}});
    return;
  }
  std::printf(
      "%lld chunks stored (%lld bytes), %zu damaged; %lld referenced by documents, %lld of them not stored\n",
      (long long)findings.num_stored, (long long)findings.bytes, findings.damaged.size(),
      (long long)findings.num_referenced, (long long)findings.num_missing);
  for (const std::string& line : findings.damaged) std::printf("damaged and removed: %s\n", line.c_str());
}

}  // namespace

VerbRun AddVerify(CLI::App& app) {
  struct Flags {
    std::string data_dir;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  app.add_option("--data-dir", flags->data_dir, "data folder of the server")->envname("CACHECLIP_DATA_DIR");
  app.add_flag("--json", flags->json, "stdout is exactly one JSON object");
  return [flags] {
    const absl::StatusOr<Findings> findings = Verify(flags->data_dir);
    if (!findings.ok()) return ReportError(findings.status());
    Report(*findings, flags->json);
    return static_cast<int>(findings->damaged.empty() ? kExitOk : kExitFailure);
  };
}

}  // namespace cacheclip
