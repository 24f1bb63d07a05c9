// The disk tier: one file per chunk in a folder that several processes may open at once and that survives
// restarts.
//
//   <folder>/VERSION             layout of the folder; another version is refused
//   <folder>/lock                flock(2): one process at a time changes the folder (so there is one evictor)
//   <folder>/usage               bytes and objects held, counted once for all processes; recounted at open
//   <folder>/objects/ab/cd….ccv  a complete chunk (docs/chunk-format.md); mtime = last use
//   <folder>/temp/*              chunks being written, each flocked by its writer; the dead ones' are removed
//   <folder>/pins/<key>/<owner>  a pin; mtime = its expiry
//   <folder>/groups/<group>/*    which chunks count to a quota group (only groups that have a quota)
//
// Put(): reserve bytes and create the temporary file under the lock (evicting by last use), write and fsync
// without it, rename under the lock, fsync the folder. A killed writer leaves at most a temporary file. Reads
// take no lock, map the file, and verify every checksum; a reader survives the unlink of its file. The budget
// covers temporary files too; each process enforces its own options on the shared count. Thread-safe. Open a
// store after fork(), not before. The folder must be on a local file system (flock, rename, mmap).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/store/chunk_store.h"
#include "common/store/group_quotas.h"

namespace cacheclip {

class DiskFolder;

struct DiskChunkStoreOptions {
  std::string folder;                               // created if missing; must not be empty
  int64_t max_bytes = int64_t{16} << 30;            // of chunk files, finished and being written
  int64_t max_objects = 1 << 20;                    // bounds the folder's scan beside the bytes
  int64_t write_step_bytes = int64_t{8} << 20;      // handed to one write(2)
  absl::Duration lock_timeout = absl::Seconds(10);  // a change that cannot get the lock by then: UNAVAILABLE
  GroupQuotas quotas;
  Watermarks watermarks;
  const Clock* clock = RealClock();  // stamps last use, decides when pins expire; outlives the store
  // Called between the steps of Put() ("reserved", "wrote", "synced", "renamed"); tests kill the
  // process there.
  std::function<void(std::string_view step)> on_put_step;
};

class DiskChunkStore : public ChunkStore {
 public:
  // FAILED_PRECONDITION: folder of another version. Removes what dead writers left, recounts, evicts down to
  // the budget.
  static absl::StatusOr<std::unique_ptr<DiskChunkStore>> Open(DiskChunkStoreOptions options);
  ~DiskChunkStore() override;

  using ChunkStore::Get;
  absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override;
  absl::Status Put(std::shared_ptr<const EncodedChunk> chunk) override { return PutInGroup(chunk, ""); }
  absl::Status PutInGroup(std::shared_ptr<const EncodedChunk> chunk, std::string_view group) override;
  absl::Status Delete(const ChunkKey& key) override;
  absl::StatusOr<bool> Contains(const ChunkKey& key) override;
  void MarkUsed(const ChunkKey& key) override;
  bool HasRoomFor(int64_t bytes) const override;  // below the low-water mark
  void EvictToLowWater() override;
  absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) override;
  absl::Status Unpin(const ChunkKey& key, std::string_view owner) override;
  StoreStats stats() const override;  // counts of this process; bytes and objects of the folder
  int64_t group_bytes(std::string_view group) const;  // 0 for a group without a quota
  absl::Status ForEach(const Visitor& visitor) override;
  std::string_view tier_name() const override { return TierName(Tier::kDisk); }

 private:
  explicit DiskChunkStore(DiskChunkStoreOptions options);

  absl::Status WriteChunk(const EncodedChunk& chunk, std::string_view group);
  absl::Status DropCorrupt(const ChunkKey& key, uint64_t inode, const absl::Status& reason);

  const DiskChunkStoreOptions options_;
  std::unique_ptr<DiskFolder> folder_;
  std::atomic<int64_t> hits_{0}, misses_{0}, puts_{0}, corrupt_{0}, rejected_puts_{0};
};

}  // namespace cacheclip
