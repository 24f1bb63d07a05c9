// The object tier against plain reads of its objects.
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/base/status.h"
#include "common/kv/image_memory.h"
#include "common/store/object/object_client_factory.h"
#include "common/store/object/object_names.h"
#include "services/cacheclip/store_bench/bench_folder.h"
#include "services/cacheclip/store_bench/comparison.h"
#include "services/cacheclip/store_bench/tier_benches.h"
#include "services/runtime/stores.h"

namespace cacheclip {
namespace {

absl::Status Run(const StoreBench& bench, const std::string& url) {
  Config config = bench.config;
  config.redis_url.clear();
  config.object_url = url;
  CACHECLIP_ASSIGN_OR_RETURN(const std::vector<StoreTier> tiers, OpenRemoteTiers(config));
  ChunkStore& store = *tiers[0].store;
  ObjectClientSettings settings = S3SettingsOf(config);
  settings.object_url = url;
  CACHECLIP_ASSIGN_OR_RETURN(const auto client, MakeObjectClient(settings));
  const absl::Cleanup remove = [&] {
    for (const auto& chunk : bench.chunks) store.Delete(chunk->key()).IgnoreError();
  };
  for (const auto& chunk : bench.chunks) CACHECLIP_RETURN_IF_ERROR(store.Put(chunk));
  const auto measure = [&] {
    return TimeOnThreads(1, bench.options.num_chunks,
                         [&](int i) { return store.Get(bench.chunks[i]->key()).status(); });
  };
  const auto measure_limit = [&] {
    return TimeOnThreads(1, bench.options.num_chunks, [&](int i) -> absl::Status {
      CACHECLIP_ASSIGN_OR_RETURN(const AlignedBytes image, AllocateImage(bench.chunks[i]->total_bytes()));
      return client->Read(ChunkObjectName(bench.chunks[i]->key()), 0, image.span(), CancellationToken())
          .status();
    });
  };
  CACHECLIP_ASSIGN_OR_RETURN(nlohmann::json row, Compare({.tier = "object",
                                                          .operation = "read",
                                                          .limit = "one GET per object, one connection",
                                                          .num_bytes = TotalBytes(bench.chunks),
                                                          .measure = measure,
                                                          .measure_limit = measure_limit},
                                                         bench.options));
  row["place"] = url.substr(0, url.find(':'));
  bench.rows.push_back(std::move(row));
  return absl::OkStatus();
}

}  // namespace

absl::Status BenchObjectTier(const StoreBench& bench) {
  if (!bench.config.object_url.empty()) return Run(bench, bench.config.object_url);
  CACHECLIP_ASSIGN_OR_RETURN(const BenchFolder folder, BenchFolder::Make(bench.folder));
  return Run(bench, "file://" + folder.path());
}

}  // namespace cacheclip
