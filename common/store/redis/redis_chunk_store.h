// The hot tier that machines share: chunks in Redis or a Redis Cluster, laid out as chunk_keys.h says.
//   * Put() writes the slices first, invisible and with a short TTL, then makes the chunk visible in one step
//     with its full TTL: a writer that dies leaves nothing visible, and what it leaves goes by itself.
//   * Get() reads the header, then the slices in layer order, pipelined with bounded bytes in flight, each
//   checked.
//     With accept_arriving it returns after the header and a fetching thread of the store brings in the rest.
//     A chunk that lost a slice (evicted) or is damaged is deleted; the first counts as a miss and an
//     eviction.
//   * A use (hit or MarkUsed) renews the TTL, at most once per refresh_interval.
//   * Pins raise the TTL; they do not keep a server at its maxmemory from evicting the chunk, which then is
//     encoded again. How much is held is the server's affair (maxmemory, policy volatile-lru): stats() does
//     not say, ForEach() does.
// Thread-safe. Every call ends by its deadline, or by RedisClientOptions::timeout after the server's last
// byte. Bounded: fetching threads, waiting fetches, bytes of chunks on their way in, remembered keys.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/kv/chunk_key.h"
#include "common/kv/encoded_chunk.h"
#include "common/redis/redis_client.h"
#include "common/store/chunk_store.h"
#include "common/store/redis/chunk_scripts.h"
#include "common/store/remote/byte_budget.h"
#include "common/store/remote/chunk_assembler.h"
#include "common/store/remote/task_pool.h"

namespace cacheclip {

struct RedisChunkStoreOptions {
  absl::Duration ttl = absl::Hours(24 * 7);          // of a chunk nobody uses; at least kMinRedisTtl
  absl::Duration refresh_interval = absl::Hours(1);  // between two renewals of one chunk by this process
  absl::Duration retry_for =
      absl::Milliseconds(100);  // a tier that is away is not waited for; see RedisCallOptions
  absl::Duration write_timeout = absl::Seconds(30);  // of a whole Put() and of every other call but Get()
  int fetching_threads = 4;                          // for chunks that arrive; 1…kMaxFetchingThreads
  int64_t max_arriving_bytes = int64_t{4} << 30;     // of chunks on their way in, all threads together
  Clock* clock = RealClock();                        // for pins' expiry and the refresh interval
  std::function<void(int step)> on_put_step;  // tests kill the writer here; after every slice, and at the end
};

inline constexpr absl::Duration kMinRedisTtl = absl::Seconds(1);
inline constexpr int kMaxFetchingThreads = 64;

class RedisChunkStore : public ChunkStore {
 public:
  // INVALID_ARGUMENT naming the option. Does not talk to the server yet; server_check.h does.
  static absl::StatusOr<std::unique_ptr<RedisChunkStore>> Make(std::shared_ptr<RedisClient> client,
                                                               RedisChunkStoreOptions options);
  ~RedisChunkStore() override;

  using ChunkStore::Get;
  absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override;
  absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) override;
  absl::Status Delete(const ChunkKey& key) override;
  absl::StatusOr<bool> Contains(const ChunkKey& key) override;
  void MarkUsed(const ChunkKey& key) override;
  absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) override;
  absl::Status Unpin(const ChunkKey& key, std::string_view owner) override;
  StoreStats stats() const override;  // bytes and objects are kUnknown
  absl::Status ForEach(const Visitor& visitor) override;
  std::string_view tier_name() const override { return TierName(Tier::kRedis); }

  int64_t arriving_bytes() const { return budget_.reserved_bytes(); }

 private:
  RedisChunkStore(std::shared_ptr<RedisClient> client, RedisChunkStoreOptions options);

  // Reading. A header of the server, as bytes; NOT_FOUND.
  absl::StatusOr<std::string> ReadHeader(const ChunkKey& key, const RedisCallOptions& options);
  absl::Status FetchSlices(ChunkAssembler& assembler, absl::Time deadline);
  absl::Status Finish(ChunkAssembler& assembler, const GetOptions& options);  // fetch, judge, count
  // Counts a failed Get() and deletes a chunk that is damaged or half, unless nothing is to change. Returns
  // `failure`.
  absl::Status Judge(const ChunkKey& key, std::string_view header, const absl::Status& failure,
                     const GetOptions& options);

  // Writing.
  absl::StatusOr<bool> RenewIfPresent(const ChunkKey& key, const RedisCallOptions& options);
  absl::Status WriteSlices(const EncodedChunk& chunk, const RedisCallOptions& options);
  // ABORTED: slices were lost meanwhile.
  absl::Status Publish(const EncodedChunk& chunk, const RedisCallOptions& options);
  // Deletes the slices that belong to this header while it is not visible, as well as that can be done.
  void Discard(const ChunkKey& key, std::string_view header, const RedisCallOptions& options);
  using PinCall =
      std::function<absl::StatusOr<ScriptOutcome>(const std::vector<std::string>&, std::string_view)>;
  absl::StatusOr<ScriptOutcome> WithKeys(const ChunkKey& key, const RedisCallOptions& options,
                                         const PinCall& call);

  bool IsDueForRenewal(const ChunkKey& key);
  RedisCallOptions CallOptions(absl::Time deadline = absl::InfiniteFuture()) const;

  const std::shared_ptr<RedisClient> client_;
  const RedisChunkStoreOptions options_;
  ChunkScripts scripts_;
  ByteBudget budget_;
  std::atomic<bool> is_stopping_{false};
  std::mutex mutex_;
  absl::flat_hash_map<ChunkKey, absl::Time> renewed_;  // at most kMaxRememberedKeys
  struct Counters {
    std::atomic<int64_t> hits{0}, misses{0}, puts{0}, evictions{0}, corrupt{0}, rejected_puts{0};
  };
  Counters counters_;
  TaskPool pool_;  // last: its threads use everything above
};

}  // namespace cacheclip
