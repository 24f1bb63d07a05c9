#include "common/store/disk_chunk_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/kv/chunk_format.h"
#include "common/store/disk_folder.h"
#include "common/store/posix_file.h"

namespace cacheclip {

namespace {

constexpr int64_t kHeaderReadBytes = int64_t{64} << 10;  // holds the header of most chunks

// Reads and checks layer by layer, so that each is still in the processor's cache when it is checked.
absl::Status CheckLayers(const EncodedChunk& chunk, const MappedFile& file) {
  const int64_t stride = LayerStride(chunk.shape(), chunk.num_tokens());
  for (int32_t layer = 0; layer < chunk.shape().num_layers; ++layer) {
    const int64_t offset = static_cast<int64_t>(chunk.header_bytes().size()) + layer * stride;
    CACHECLIP_RETURN_IF_ERROR(LoadPages(file, offset, stride));
    CACHECLIP_RETURN_IF_ERROR(chunk.VerifyLayer(layer));
  }
  return absl::OkStatus();
}

// Every checksum holds, and it is the chunk of this key. DATA_LOSS, UNAVAILABLE.
absl::StatusOr<std::shared_ptr<const EncodedChunk>> ReadMapped(const ChunkKey& key, const MappedFile& file) {
  const auto header_part = std::min<int64_t>(file.bytes.size(), kHeaderReadBytes);
  CACHECLIP_RETURN_IF_ERROR(LoadPages(file, 0, header_part));
  auto chunk = ParseChunk(file.bytes, file.owner, PayloadCheck::kTrusted);
  if (!chunk.ok()) return absl::DataLossError(chunk.status().message());
  if ((*chunk)->key() != key) return absl::DataLossError("the file holds a chunk of another key");
  CACHECLIP_RETURN_IF_ERROR(CheckLayers(**chunk, file));
  return *std::move(chunk);
}

}  // namespace

DiskChunkStore::DiskChunkStore(DiskChunkStoreOptions options) : options_(std::move(options)) {}
DiskChunkStore::~DiskChunkStore() = default;

absl::StatusOr<std::unique_ptr<DiskChunkStore>> DiskChunkStore::Open(DiskChunkStoreOptions options) {
  if (options.write_step_bytes < 1)
    return InvalidField("write_step_bytes", absl::StrCat("must be positive, got ", options.write_step_bytes));
  std::unique_ptr<DiskChunkStore> store(new DiskChunkStore(std::move(options)));
  CACHECLIP_ASSIGN_OR_RETURN(
      store->folder_,
      DiskFolder::Open({store->options_.folder, store->options_.max_bytes, store->options_.max_objects,
                        store->options_.lock_timeout, store->options_.clock, store->options_.quotas,
                        store->options_.watermarks}));
  return store;
}

absl::StatusOr<StoreHit> DiskChunkStore::Get(const ChunkKey& key, const GetOptions& options) {
  const std::optional<absl::Time> used_at =
      options.changes_nothing ? std::nullopt : std::optional(options_.clock->Now());
  auto file = MapFile(folder_->ObjectPath(key), used_at);
  if (!file.ok()) {
    ++misses_;
    return file.status();
  }
  auto chunk = ReadMapped(key, *file);
  if (absl::IsDataLoss(chunk.status()) && !options.changes_nothing)
    return DropCorrupt(key, file->inode, chunk.status());
  if (!chunk.ok()) return chunk.status();
  ++hits_;
  return StoreHit{*std::move(chunk), Tier::kDisk};
}

absl::Status DiskChunkStore::DropCorrupt(const ChunkKey& key, uint64_t inode, const absl::Status& reason) {
  ++corrupt_;
  const absl::Status removed = folder_->Remove(key, inode);
  const std::string path = folder_->ObjectPath(key);
  CACHECLIP_LOG(Warning) << "disk store: deleted " << path << ": " << reason.message();
  // Damaged bytes must go even while somebody else holds the folder; the count is then high until the next
  // scan.
  if (!removed.ok()) ::unlink(path.c_str());
  return absl::DataLossError(absl::StrCat(path, ": ", reason.message()));
}

absl::Status DiskChunkStore::PutInGroup(std::shared_ptr<const EncodedChunk> chunk, std::string_view group) {
  absl::Status status = WriteChunk(*chunk, group);
  if (absl::IsResourceExhausted(status)) ++rejected_puts_;
  return status;
}

absl::Status DiskChunkStore::WriteChunk(const EncodedChunk& chunk, std::string_view group) {
  const auto step = [this](std::string_view name) {
    if (options_.on_put_step) options_.on_put_step(name);
  };
  CACHECLIP_ASSIGN_OR_RETURN(auto temp, folder_->Reserve(chunk.key(), chunk.total_bytes(), group));
  if (!temp) return absl::OkStatus();  // already there
  step("reserved");
  absl::Status written =
      WriteAll(temp->file, chunk.image(), options_.write_step_bytes, temp->path, [&step] { step("wrote"); });
  if (written.ok()) written = SyncFile(temp->file, temp->path);
  if (!written.ok()) {
    folder_->Abandon(*temp);
    return written;
  }
  step("synced");
  const auto published = folder_->Publish(*temp, chunk.key());
  if (!published.ok()) {
    folder_->Abandon(*temp);
    return published.status();
  }
  step("renamed");
  if (!*published) return absl::OkStatus();
  ++puts_;
  return SyncFolder(folder_->ObjectFolder(chunk.key()));
}

absl::Status DiskChunkStore::Delete(const ChunkKey& key) { return folder_->Remove(key); }

absl::StatusOr<bool> DiskChunkStore::Contains(const ChunkKey& key) {
  const std::string path = folder_->ObjectPath(key);
  if (::access(path.c_str(), F_OK) == 0) return true;
  if (errno == ENOENT) return false;
  return FileError(errno, "look for", path);
}

void DiskChunkStore::MarkUsed(const ChunkKey& key) {
  const std::string path = folder_->ObjectPath(key);
  if (const auto file = OpenFile(path, O_RDONLY); file.ok())
    StampFile(*file, options_.clock->Now(), path).IgnoreError();
}

bool DiskChunkStore::HasRoomFor(int64_t bytes) const { return folder_->HasRoomFor(bytes); }

void DiskChunkStore::EvictToLowWater() {
  const absl::Status status = folder_->EvictToLowWater();
  // Full of pins: puts will say so.
  if (!status.ok() && !absl::IsResourceExhausted(status)) {
    CACHECLIP_LOG(Warning) << "disk store: eviction ahead of need: " << status;
  }
}

int64_t DiskChunkStore::group_bytes(std::string_view group) const { return folder_->group_bytes(group); }

absl::Status DiskChunkStore::Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) {
  return folder_->Pin(key, owner, expiry);
}

absl::Status DiskChunkStore::Unpin(const ChunkKey& key, std::string_view owner) {
  return folder_->Unpin(key, owner);
}

StoreStats DiskChunkStore::stats() const {
  const DiskUsage usage = folder_->usage();
  return {.hits = hits_,
          .misses = misses_,
          .puts = puts_,
          .evictions = folder_->evictions(),
          .corrupt = corrupt_,
          .rejected_puts = rejected_puts_,
          .bytes = usage.bytes,
          .objects = usage.objects};
}

absl::Status DiskChunkStore::ForEach(const Visitor& visitor) { return folder_->ForEach(visitor); }

}  // namespace cacheclip
