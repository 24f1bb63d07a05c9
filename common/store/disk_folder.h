// The folder of the disk tier: where files lie, who may change it, how much it holds and what goes when it is
// full. DiskChunkStore puts chunks through it; the layout is documented in common/store/disk_chunk_store.h.
//
// Every change happens under one lock for all threads and processes. The usage file counts finished chunks
// and reservations; it is raised before bytes appear and lowered after they are gone, so a process killed in
// between leaves a count that is too high, never too low. A scan (at open, and before anything is refused)
// sets it right. Thread-safe. An instance does not survive fork().
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/store/chunk_store.h"
#include "common/store/disk_groups.h"
#include "common/store/disk_pins.h"
#include "common/store/group_quotas.h"
#include "common/store/posix_file.h"

namespace cacheclip {

struct DiskUsage {
  int64_t bytes = 0;
  int64_t objects = 0;
};

struct DiskFolderOptions {
  std::string folder;
  int64_t max_bytes = 0;
  int64_t max_objects = 0;
  absl::Duration lock_timeout;
  const Clock* clock = RealClock();
  GroupQuotas quotas;
  Watermarks watermarks;
};

class DiskFolder {
 public:
  static constexpr std::string_view kObjectSuffix = ".ccv";

  // A chunk being written: invisible, counted, and locked by its writer so that others know it is alive.
  struct TempFile {
    std::string path;
    FileDescriptor file;
    int64_t bytes = 0;
  };

  static absl::StatusOr<std::unique_ptr<DiskFolder>> Open(DiskFolderOptions options);

  // Makes room and creates the file; nullopt when the chunk is already there. RESOURCE_EXHAUSTED when what is
  // not pinned would not make enough room, or the group's own chunks would not bring it under its quota.
  absl::StatusOr<std::optional<TempFile>> Reserve(const ChunkKey& key, int64_t bytes,
                                                  std::string_view group = "");
  // Makes the written file visible. False: another writer of the same chunk was first.
  absl::StatusOr<bool> Publish(const TempFile& temp, const ChunkKey& key);
  void Abandon(const TempFile& temp);

  // Removes the chunk and its pins; with `only_inode`, only if the file is still that one. OK when absent.
  absl::Status Remove(const ChunkKey& key, std::optional<uint64_t> only_inode = std::nullopt);
  absl::Status Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry);
  absl::Status Unpin(const ChunkKey& key, std::string_view owner);

  bool HasRoomFor(int64_t bytes) const;
  absl::Status EvictToLowWater();

  std::string ObjectPath(const ChunkKey& key) const;
  std::string ObjectFolder(const ChunkKey& key) const;
  absl::Status ForEach(const ChunkStore::Visitor& visitor) const;
  DiskUsage usage() const;  // of the whole folder
  int64_t group_bytes(std::string_view group);
  int64_t evictions() const;  // by this instance

 private:
  // Held around every change: the mutex among threads, flock among processes.
  struct Lock {
    std::unique_lock<std::mutex> threads;
    FileDescriptor processes;
  };
  struct Candidate {  // for eviction
    ChunkKey key;
    int64_t bytes = 0;
    absl::Time used_at;
  };

  explicit DiskFolder(DiskFolderOptions options);

  absl::Status Prepare();
  absl::StatusOr<Lock> Acquire() const;
  absl::StatusOr<DiskUsage> Rescan();  // recounts, removes dead temporary files, refills candidates_
  absl::Status CountTempFiles(DiskUsage& usage) const;
  absl::StatusOr<DiskUsage> MakeRoom(const DiskUsage& wanted);
  void EvictUntilFits(DiskUsage& usage, const DiskUsage& wanted);
  bool Fits(const DiskUsage& usage, const DiskUsage& wanted) const;
  absl::StatusOr<int64_t> ListGroup(std::string_view group, std::vector<Candidate>& evictable);
  absl::Status MakeGroupRoom(std::string_view group, int64_t bytes);
  absl::StatusOr<TempFile> CreateTemp(const ChunkKey& key, int64_t bytes);
  absl::StatusOr<DiskUsage> ReadUsage() const;
  absl::Status WriteUsage(const DiskUsage& usage) const;
  absl::Status LowerUsage(int64_t bytes) const;
  std::string Path(std::string_view name) const;

  const DiskFolderOptions options_;
  DiskPins pins_;
  DiskGroups groups_;
  mutable std::mutex mutex_;
  std::vector<Candidate> candidates_;  // longest unused last; may be stale, each is checked before it goes
  int64_t evictions_ = 0;
};

}  // namespace cacheclip
