// The object tier: encoded chunks in an S3 bucket or a shared folder, behind everything faster.
//
//   chunks/ab/<64 hex>.ccv          a chunk: exactly the image of docs/chunk-format.md
//   pins/<64 hex>/<owner digest>    a pin: its expiry as text; an expired one counts for nothing
//
// An object is visible once it is complete (S3: put and multipart completion; folder: rename), so a put needs
// no second phase of its own. Get() reads the front of the object, then the layers in ranges on a bounded
// pool of fetching threads, checking every slice; a caller that accepts arriving chunks gets the chunk as
// soon as its header is there. A range whose checksum does not hold is read once more before the object is
// deleted as damaged. Deadlines bound the waiting caller even where the place hangs.
//
// Budgets are off by default: a bucket's size is ruled by its lifecycle rules. With them (shared folders)
// the longest unused go first, where the place records use, else the oldest; pinned ones never. Budgets count
// what the last listing saw and what this process changed; several writers may exceed them together by what
// they put between two listings. Thread-safe.
//
// Errors: those of ChunkStore, and of ObjectClient where the settings or credentials are wrong.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/store/chunk_store.h"
#include "common/store/object/object_client.h"

namespace cacheclip {

class ObjectBudget;
class ObjectFetcher;
class ObjectPins;

struct ObjectChunkStoreOptions {
  int64_t max_bytes = std::numeric_limits<int64_t>::max();    // of chunk objects; see above
  int64_t max_objects = std::numeric_limits<int64_t>::max();  // see above
  int64_t max_chunk_bytes = int64_t{4} << 30;     // a larger object is refused: RESOURCE_EXHAUSTED
  int64_t max_fetching_bytes = int64_t{2} << 30;  // images being filled, together; more: UNAVAILABLE
  int64_t first_read_bytes = int64_t{128} << 10;  // one read for header and more; most headers fit
  int64_t range_bytes = int64_t{4} << 20;         // whole layers are read together up to about this
  int num_fetch_threads = 8;                      // also the most requests for chunks in flight
  int max_threads_per_chunk = 4;
  int max_queued_chunks = 256;  // beyond them Get() is UNAVAILABLE at once
  // Of everything but Get() and ForEach(); Put() gets more by the chunk's size.
  absl::Duration operation_timeout = absl::Seconds(30);
  int64_t put_bytes_per_second = int64_t{2} << 20;  // a slower Put() of a large chunk is given up
  absl::Duration get_timeout = absl::Seconds(60);   // where GetOptions has no sooner deadline
  Clock* clock = RealClock();                       // outlives the store
};

class ObjectChunkStore : public ChunkStore {
 public:
  // Touches no network. INVALID_ARGUMENT: options out of bounds.
  static absl::StatusOr<std::unique_ptr<ObjectChunkStore>> Create(std::unique_ptr<ObjectClient> client,
                                                                  ObjectChunkStoreOptions options);
  ~ObjectChunkStore() override;  // fails what is arriving

  // Lists one object: whether place, credentials and network are right. For start-up and readiness.
  absl::Status Probe(absl::Time deadline);

  using ChunkStore::Get;
  absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override;
  absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) override;
  absl::Status Delete(const ChunkKey& key) override;
  absl::StatusOr<bool> Contains(const ChunkKey& key) override;
  void MarkUsed(const ChunkKey& key) override;
  bool HasRoomFor(int64_t bytes) const override;
  absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) override;
  absl::Status Unpin(const ChunkKey& key, std::string_view owner) override;
  StoreStats stats() const override;  // counts of this process; bytes and objects as ObjectBudget knows them
  absl::Status ForEach(const Visitor& visitor) override;  // sets bytes and objects right as it goes
  std::string_view tier_name() const override { return TierName(Tier::kObject); }

 private:
  ObjectChunkStore(std::unique_ptr<ObjectClient> client, ObjectChunkStoreOptions options);

  // operation_timeout from now, and time for that many bytes.
  CancellationToken Token(int64_t put_bytes = 0) const;
  absl::Status WriteChunk(const EncodedChunk& chunk);
  void DropDamaged(const ChunkKey& key, const absl::Status& reason);

  const ObjectChunkStoreOptions options_;
  const std::unique_ptr<ObjectClient> client_;
  std::unique_ptr<ObjectPins> pins_;
  std::unique_ptr<ObjectBudget> budget_;
  std::atomic<int64_t> hits_{0}, misses_{0}, puts_{0}, corrupt_{0}, rejected_puts_{0};
  std::unique_ptr<ObjectFetcher> fetcher_;  // last, so that its threads end first
};

}  // namespace cacheclip
