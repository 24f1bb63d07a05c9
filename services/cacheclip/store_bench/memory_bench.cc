// The memory tier against memcpy.
#include <chrono>
#include <cstring>
#include <utility>

#include "common/base/status.h"
#include "common/kv/chunk_builder.h"
#include "common/kv/image_memory.h"
#include "common/model/inference_session.h"
#include "common/store/memory_chunk_store.h"
#include "services/cacheclip/store_bench/comparison.h"
#include "services/cacheclip/store_bench/tier_benches.h"

namespace cacheclip {
namespace {

constexpr char kTier[] = "memory";

class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// What a request does with its hits: a session, and every chunk laid behind the one before (from the front
// again where the model's context ends).
class Assembly {
 public:
  Assembly(const StoreBench& bench, MemoryChunkStore& store) : bench_(bench), store_(store) {
    const int64_t fitting = bench.model->config().max_positions / bench.options.chunk_tokens;
    num_places_ = static_cast<int>(std::min<int64_t>(fitting, bench.options.num_chunks));
  }

  absl::Status MakeSession() {
    session_.reset();
    CACHECLIP_ASSIGN_OR_RETURN(
        session_, InferenceSession::Create(bench_.model, num_places_ * bench_.options.chunk_tokens));
    return absl::OkStatus();
  }
  absl::Status Run() {
    std::vector<StoreHit> hits;
    std::vector<ChunkPlace> places;
    for (size_t i = 0; i < bench_.chunks.size(); ++i) {
      CACHECLIP_ASSIGN_OR_RETURN(StoreHit hit, store_.Get(bench_.chunks[i]->key()));
      const int32_t slot = static_cast<int32_t>(i) % num_places_ * bench_.options.chunk_tokens;
      places.push_back({hit.chunk.get(), slot, slot});
      hits.push_back(std::move(hit));
    }
    return session_->PlaceLayers(places, 0, bench_.model->num_layers());
  }
  // As many bytes as the cache takes.
  int64_t num_places() const { return num_places_; }

 private:
  const StoreBench& bench_;
  MemoryChunkStore& store_;
  int num_places_ = 0;
  std::unique_ptr<InferenceSession> session_;
};

// Every chunk's image to its place in `to`, the threads taking parts of each.
absl::StatusOr<double> CopyImages(const StoreBench& bench, int64_t num_places, const AlignedBytes& to) {
  const int num_parts = bench.options.num_threads;
  const int64_t image_bytes = bench.chunks[0]->total_bytes();
  return TimeOnThreads(num_parts, num_parts, [&](int part) {
    const int64_t begin = image_bytes * part / num_parts, end = image_bytes * (part + 1) / num_parts;
    for (size_t i = 0; i < bench.chunks.size(); ++i)
      std::memcpy(to.data.get() + static_cast<int64_t>(i) % num_places * image_bytes + begin,
                  bench.chunks[i]->image().data() + begin, end - begin);
    return absl::OkStatus();
  });
}

absl::Status CompareAssembly(const StoreBench& bench, Assembly& assembly, bool is_fresh) {
  const int64_t bytes = assembly.num_places() * bench.chunks[0]->total_bytes();
  AlignedBytes copy;
  const auto allocate = [&]() -> absl::Status {
    copy = {};
    CACHECLIP_ASSIGN_OR_RETURN(copy, AllocateImage(bytes));
    return absl::OkStatus();
  };
  if (!is_fresh) {
    CACHECLIP_RETURN_IF_ERROR(assembly.MakeSession());
    CACHECLIP_RETURN_IF_ERROR(allocate());
  }
  const auto measure = [&]() -> absl::StatusOr<double> {
    const Stopwatch watch;
    if (is_fresh) CACHECLIP_RETURN_IF_ERROR(assembly.MakeSession());
    CACHECLIP_RETURN_IF_ERROR(assembly.Run());
    return watch.Seconds();
  };
  const auto measure_limit = [&]() -> absl::StatusOr<double> {
    const Stopwatch watch;
    if (is_fresh) CACHECLIP_RETURN_IF_ERROR(allocate());
    CACHECLIP_RETURN_IF_ERROR(CopyImages(bench, assembly.num_places(), copy).status());
    return watch.Seconds();
  };
  CACHECLIP_ASSIGN_OR_RETURN(
      nlohmann::json row, Compare({.tier = kTier,
                                   .operation = is_fresh ? "get and assemble, new cache" : "get and assemble",
                                   .limit = is_fresh ? "memcpy to new memory" : "memcpy",
                                   .num_bytes = TotalBytes(bench.chunks),
                                   .target = 0.6,
                                   .measure = measure,
                                   .measure_limit = measure_limit},
                                  bench.options));
  bench.rows.push_back(std::move(row));
  return absl::OkStatus();
}

absl::Status TimeGet(const StoreBench& bench, MemoryChunkStore& store) {
  const auto measure = [&]() -> absl::StatusOr<double> {
    const Stopwatch watch;
    for (const auto& chunk : bench.chunks) CACHECLIP_RETURN_IF_ERROR(store.Get(chunk->key()).status());
    return watch.Seconds();
  };
  CACHECLIP_ASSIGN_OR_RETURN(
      nlohmann::json row,
      Compare({.tier = kTier, .operation = "get", .num_bytes = TotalBytes(bench.chunks), .measure = measure},
              bench.options));
  row["seconds_per_chunk"] = static_cast<double>(TotalBytes(bench.chunks)) / bench.options.num_chunks /
                             row["bytes_per_second"]["median"].get<double>();
  bench.rows.push_back(std::move(row));
  return absl::OkStatus();
}

absl::Status ComparePromotion(const StoreBench& bench) {
  const auto measure = [&] {
    return TimeOnThreads(bench.options.num_threads, bench.options.num_chunks,
                         [&](int i) { return CopyToHeap(*bench.chunks[i]).status(); });
  };
  const auto measure_limit = [&] {
    return TimeOnThreads(bench.options.num_threads, bench.options.num_chunks, [&](int i) -> absl::Status {
      const auto image = bench.chunks[i]->image();
      CACHECLIP_ASSIGN_OR_RETURN(const AlignedBytes copy, AllocateImage(bench.chunks[i]->total_bytes()));
      std::memcpy(copy.data.get(), image.data(), image.size());
      return absl::OkStatus();
    });
  };
  CACHECLIP_ASSIGN_OR_RETURN(nlohmann::json row, Compare({.tier = kTier,
                                                          .operation = "copy in (promotion)",
                                                          .limit = "memcpy to new memory",
                                                          .num_bytes = TotalBytes(bench.chunks),
                                                          .target = 0.8,
                                                          .measure = measure,
                                                          .measure_limit = measure_limit},
                                                         bench.options));
  bench.rows.push_back(std::move(row));
  return absl::OkStatus();
}

}  // namespace

absl::Status BenchMemoryTier(const StoreBench& bench) {
  MemoryChunkStore store({.max_bytes = TotalBytes(bench.chunks)});
  for (const auto& chunk : bench.chunks) CACHECLIP_RETURN_IF_ERROR(store.Put(chunk));
  CACHECLIP_RETURN_IF_ERROR(TimeGet(bench, store));
  Assembly assembly(bench, store);
  if (assembly.num_places() < 1) return absl::UnavailableError("a chunk is longer than the model's context");
  CACHECLIP_RETURN_IF_ERROR(CompareAssembly(bench, assembly, /*is_fresh=*/false));
  CACHECLIP_RETURN_IF_ERROR(CompareAssembly(bench, assembly, /*is_fresh=*/true));
  return ComparePromotion(bench);
}

}  // namespace cacheclip
