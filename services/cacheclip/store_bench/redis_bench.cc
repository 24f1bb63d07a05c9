// The Redis tier against redis-benchmark.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/redis/redis_client.h"
#include "services/cacheclip/store_bench/comparison.h"
#include "services/cacheclip/store_bench/redis_process.h"
#include "services/cacheclip/store_bench/tier_benches.h"
#include "services/runtime/stores.h"

namespace cacheclip {
namespace {

constexpr char kTier[] = "redis";
constexpr char kPlainKeys[] = "cacheclip:bench:";
constexpr int kBenchmarkRounds = 4;  // of all slices: redis-benchmark counts whole milliseconds
constexpr int64_t kSpareBytes = int64_t{64} << 20;

// The server as redis-benchmark is told of it; empty where more than host and port would be needed.
std::string BenchmarkServer(const std::string& url, const RedisClient& client) {
  const auto options = ParseRedisUrl(url);
  const bool is_plain = options.ok() && !client.is_cluster() && options->endpoints.size() == 1 &&
                        options->password.empty() && options->database == 0 && !options->tls.enabled;
  if (!is_plain) return "";
  return absl::StrCat(" -h ", options->endpoints[0].host, " -p ", options->endpoints[0].port);
}

// The second field of the last line of redis-benchmark --csv.
double RequestsPerSecond(const std::string& csv) {
  const std::vector<std::string> lines = absl::StrSplit(csv, '\n', absl::SkipEmpty());
  if (lines.empty()) return 0;
  const std::vector<std::string> fields = absl::StrSplit(lines.back(), "\",\"");
  double rate = 0;
  return fields.size() > 1 && absl::SimpleAtod(fields[1], &rate) && std::isfinite(rate) ? rate : 0;
}

std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  char block[4096];
  while (const size_t count = ::fread(block, 1, sizeof block, pipe)) output.append(block, count);
  ::pclose(pipe);
  return output;
}

class RedisBench {
 public:
  RedisBench(const StoreBench& bench, std::string url, int num_threads)
      : bench_(bench), url_(std::move(url)), num_threads_(num_threads) {
    for (const auto& chunk : bench_.chunks) num_slices_ += static_cast<int>(chunk->slices().size());
    slice_bytes_ = bench_.chunks[0]->slices()[0].num_bytes;
  }

  absl::Status Run() {
    Config config = bench_.config;
    config.redis_url = url_;
    config.object_url.clear();
    config.redis_connections = std::max<int64_t>(config.redis_connections, num_threads());
    CACHECLIP_ASSIGN_OR_RETURN(std::vector<StoreTier> tiers, OpenRemoteTiers(config));
    store_ = std::move(tiers[0].store);
    CACHECLIP_ASSIGN_OR_RETURN(client_, ConnectQueue(config, url_));
    server_ = BenchmarkServer(url_, *client_);
    const absl::Cleanup remove = [this] { RemoveAll(); };
    CACHECLIP_RETURN_IF_ERROR(CompareWrites());
    if (!server_.empty()) CACHECLIP_RETURN_IF_ERROR(PutPlainKeys());
    return CompareReads();
  }

 private:
  int num_threads() const { return num_threads_; }
  // Slices that one connection has under way: what the client's bound on bytes in flight allows.
  int pipelining() const {
    const int64_t fitting = RedisClientOptions().max_bytes_in_flight / slice_bytes_;
    const auto slices = static_cast<int64_t>(bench_.chunks[0]->slices().size());
    return static_cast<int>(std::clamp<int64_t>(fitting, 1, slices));
  }

  absl::Status CompareWrites() {
    const auto measure = [&]() -> absl::StatusOr<double> {
      for (const auto& chunk : bench_.chunks) CACHECLIP_RETURN_IF_ERROR(store_->Delete(chunk->key()));
      return TimeOnThreads(num_threads(), bench_.options.num_chunks,
                           [&](int i) { return store_->Put(bench_.chunks[i]); });
    };
    return Add({.tier = kTier,
                .operation = "write",
                .limit = "redis-benchmark SET",
                .num_bytes = TotalBytes(bench_.chunks),
                .measure = measure,
                .measure_limit = LimitOf(absl::StrCat("-t set -d ", slice_bytes_))});
  }

  absl::Status CompareReads() {
    const auto measure = [&] {
      return TimeOnThreads(num_threads(), bench_.options.num_chunks,
                           [&](int i) { return store_->Get(bench_.chunks[i]->key()).status(); });
    };
    return Add({.tier = kTier,
                .operation = "read",
                .limit = "redis-benchmark GET",
                .num_bytes = TotalBytes(bench_.chunks),
                .target = 0.8,
                .measure = measure,
                .measure_limit = LimitOf(absl::StrCat("GET ", kPlainKeys, "__rand_int__"))});
  }

  // Values of a slice's size under as many keys as there are slices, so that both sides read as much memory.
  absl::Status PutPlainKeys() {
    for (int i = 0; i < num_slices_; ++i) {
      const auto slice = bench_.chunks[0]->SliceBytes(bench_.chunks[0]->slices()[0]);
      const RedisCommand set{.args = {"SET", PlainKey(i)},
                             .payload = {reinterpret_cast<const char*>(slice.data()), slice.size()}};
      CACHECLIP_RETURN_IF_ERROR(client_->Execute(set).status());
    }
    return absl::OkStatus();
  }
  static std::string PlainKey(int index) { return absl::StrFormat("%s%012d", kPlainKeys, index); }

  // Seconds for as many bytes as the chunks have.
  TimedRound LimitOf(const std::string& request) {
    if (server_.empty()) return nullptr;
    const int num_requests = num_slices_ * kBenchmarkRounds;
    const std::string command =
        absl::StrCat("redis-benchmark", server_, " --csv -c ", num_threads(), " -P ", pipelining(), " -n ",
                     num_requests, " -r ", num_slices_, " ", request, " 2>/dev/null");
    return [this, command]() -> absl::StatusOr<double> {
      const double rate = RequestsPerSecond(OutputOf(command));
      return rate > 0 ? static_cast<double>(TotalBytes(bench_.chunks)) / (rate * slice_bytes_) : 0;
    };
  }

  absl::Status Add(const Comparison& comparison) {
    CACHECLIP_ASSIGN_OR_RETURN(nlohmann::json row, Compare(comparison, bench_.options));
    row["value_bytes"] = slice_bytes_;
    row["connections"] = num_threads();
    row["pipelining"] = pipelining();
    bench_.rows.push_back(std::move(row));
    return absl::OkStatus();
  }

  void RemoveAll() {
    for (const auto& chunk : bench_.chunks) store_->Delete(chunk->key()).IgnoreError();
    for (int i = 0; i < num_slices_ && !server_.empty(); ++i) {
      client_->Execute({.args = {"DEL", PlainKey(i)}}).IgnoreError();
      client_->Execute({.args = {"DEL", absl::StrFormat("key:%012d", i)}}).IgnoreError();  // of -t set
    }
  }

  const StoreBench& bench_;
  const std::string url_;
  const int num_threads_;
  std::string server_;
  int num_slices_ = 0;
  int64_t slice_bytes_ = 0;
  std::shared_ptr<ChunkStore> store_;
  std::unique_ptr<RedisClient> client_;
};

}  // namespace

absl::Status BenchRedisTier(const StoreBench& bench) {
  const int num_threads = bench.options.num_threads;
  if (!bench.config.redis_url.empty()) return RedisBench(bench, bench.config.redis_url, num_threads).Run();
  CACHECLIP_ASSIGN_OR_RETURN(const auto server,
                             RedisProcess::Start(4 * TotalBytes(bench.chunks) + kSpareBytes));
  // A server of its own takes one of the machine's cores.
  return RedisBench(bench, server->url(), std::max(1, num_threads - 1)).Run();
}

}  // namespace cacheclip
