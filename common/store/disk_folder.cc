#include "common/store/disk_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolderVersion = "cacheclip disk store 1\n";
constexpr std::chrono::microseconds kLockPoll(500);

}  // namespace

DiskFolder::DiskFolder(DiskFolderOptions options)
    : options_(std::move(options)),
      pins_(absl::StrCat(options_.folder, "/pins")),
      groups_(absl::StrCat(options_.folder, "/groups")) {}

std::string DiskFolder::Path(std::string_view name) const {
  return absl::StrCat(options_.folder, "/", AbslView(name));
}

std::string DiskFolder::ObjectFolder(const ChunkKey& key) const {
  return absl::StrCat(options_.folder, "/objects/", key.ToHex().substr(0, 2));
}

std::string DiskFolder::ObjectPath(const ChunkKey& key) const {
  return absl::StrCat(ObjectFolder(key), "/", key.ToHex().substr(2), AbslView(kObjectSuffix));
}

absl::StatusOr<std::unique_ptr<DiskFolder>> DiskFolder::Open(DiskFolderOptions options) {
  std::unique_ptr<DiskFolder> folder(new DiskFolder(std::move(options)));
  CACHECLIP_RETURN_IF_ERROR(folder->Prepare());
  return folder;
}

absl::Status DiskFolder::Prepare() {
  if (options_.folder.empty()) return InvalidField("folder", "must not be empty");
  std::error_code error;
  fs::create_directories(options_.folder, error);
  if (error) return FileError(error.value(), "make folder", options_.folder);
  CACHECLIP_ASSIGN_OR_RETURN(const Lock lock, Acquire());
  std::string version;
  if (std::ifstream file(Path("VERSION")); file) version.assign(std::istreambuf_iterator<char>(file), {});
  if (!version.empty() && version != kFolderVersion)
    return absl::FailedPreconditionError(
        absl::StrCat(options_.folder, " is a disk store of another version: ", version));
  for (const char* name : {"temp", "pins", "groups", "objects"}) {
    fs::create_directory(Path(name), error);
    if (error) return FileError(error.value(), "make folder", Path(name));
  }
  if (version.empty()) std::ofstream(Path("VERSION")) << kFolderVersion;
  CACHECLIP_ASSIGN_OR_RETURN(DiskUsage usage, Rescan());
  EvictUntilFits(usage, {});  // the budget may have become smaller since
  return WriteUsage(usage);
}

absl::StatusOr<DiskFolder::Lock> DiskFolder::Acquire() const {
  Lock lock{std::unique_lock(mutex_), {}};
  const std::string path = Path("lock");
  CACHECLIP_ASSIGN_OR_RETURN(lock.processes, OpenFile(path, O_RDWR | O_CREAT));
  const auto give_up = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.lock_timeout);
  while (::flock(lock.processes.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return FileError(errno, "lock", path);
    if (std::chrono::steady_clock::now() >= give_up)
      return absl::UnavailableError(absl::StrCat("lock ", path, ": another process has held it for ",
                                                 absl::FormatDuration(options_.lock_timeout)));
    std::this_thread::sleep_for(kLockPoll);
  }
  return lock;
}

absl::StatusOr<std::optional<DiskFolder::TempFile>> DiskFolder::Reserve(const ChunkKey& key, int64_t bytes,
                                                                        std::string_view group) {
  CACHECLIP_ASSIGN_OR_RETURN(const Lock lock, Acquire());
  if (::access(ObjectPath(key).c_str(), F_OK) == 0) return std::optional<TempFile>();
  if (bytes > options_.max_bytes || options_.max_objects < 1)
    return absl::ResourceExhaustedError(absl::StrCat("a chunk of ", bytes, " bytes does not fit into ",
                                                     options_.folder, " with ", options_.max_bytes,
                                                     " bytes"));
  const bool has_quota = options_.quotas.Of(group) != GroupQuotas::kUnlimited;
  if (has_quota) CACHECLIP_RETURN_IF_ERROR(MakeGroupRoom(group, bytes));
  CACHECLIP_ASSIGN_OR_RETURN(DiskUsage usage, MakeRoom({bytes, 1}));
  if (has_quota) CACHECLIP_RETURN_IF_ERROR(groups_.Add(group, {key, bytes}));
  usage.bytes += bytes;
  ++usage.objects;
  CACHECLIP_RETURN_IF_ERROR(WriteUsage(usage));
  auto temp = CreateTemp(key, bytes);
  if (!temp.ok()) {
    CACHECLIP_RETURN_IF_ERROR(LowerUsage(bytes));
    return temp.status();
  }
  return std::optional<TempFile>(*std::move(temp));
}

// The name carries the reserved bytes, so that a scan counts them before they are written.
absl::StatusOr<DiskFolder::TempFile> DiskFolder::CreateTemp(const ChunkKey& key, int64_t bytes) {
  static std::atomic<int64_t> next_number{0};
  for (;;) {
    TempFile temp;
    temp.bytes = bytes;
    temp.path = absl::StrCat(Path("temp"), "/", key.ToHex(), ".", bytes, ".", ::getpid(), ".", next_number++);
    auto file = OpenFile(temp.path, O_WRONLY | O_CREAT | O_EXCL);
    if (!file.ok() && ::access(temp.path.c_str(), F_OK) == 0) continue;  // left by a dead process of our id
    if (!file.ok()) return file.status();
    temp.file = *std::move(file);
    if (::flock(temp.file.get(), LOCK_EX | LOCK_NB) != 0) {
      const absl::Status status = FileError(errno, "lock", temp.path);
      ::unlink(temp.path.c_str());
      return status;
    }
    return temp;
  }
}

absl::StatusOr<bool> DiskFolder::Publish(const TempFile& temp, const ChunkKey& key) {
  CACHECLIP_ASSIGN_OR_RETURN(const Lock lock, Acquire());
  const std::string path = ObjectPath(key);
  if (::access(path.c_str(), F_OK) == 0) {
    ::unlink(temp.path.c_str());
    CACHECLIP_RETURN_IF_ERROR(LowerUsage(temp.bytes));
    return false;
  }
  CACHECLIP_RETURN_IF_ERROR(StampFile(temp.file, options_.clock->Now(), temp.path));
  if (::access(ObjectFolder(key).c_str(), F_OK) != 0) {
    if (::mkdir(ObjectFolder(key).c_str(), 0755) != 0)
      return FileError(errno, "make folder", ObjectFolder(key));
    CACHECLIP_RETURN_IF_ERROR(SyncFolder(Path("objects")));
  }
  if (::rename(temp.path.c_str(), path.c_str()) != 0) return FileError(errno, "rename to", path);
  return true;
}

void DiskFolder::Abandon(const TempFile& temp) {
  const auto lock = Acquire();
  const bool removed = ::unlink(temp.path.c_str()) == 0;
  if (!lock.ok() || !removed) return;  // counted too high until the next scan
  const absl::Status status = LowerUsage(temp.bytes);
  if (!status.ok()) {
    CACHECLIP_LOG(Warning) << "disk store: " << status;
  }
}

absl::Status DiskFolder::Remove(const ChunkKey& key, std::optional<uint64_t> only_inode) {
  CACHECLIP_ASSIGN_OR_RETURN(const Lock lock, Acquire());
  const std::string path = ObjectPath(key);
  struct stat status;
  if (::stat(path.c_str(), &status) != 0)
    return errno == ENOENT ? absl::OkStatus() : FileError(errno, "stat", path);
  if (only_inode && *only_inode != status.st_ino) return absl::OkStatus();
  if (::unlink(path.c_str()) != 0) return FileError(errno, "delete", path);
  pins_.RemoveAll(key);
  CACHECLIP_RETURN_IF_ERROR(LowerUsage(status.st_size));
  return SyncFolder(ObjectFolder(key));
}

absl::Status DiskFolder::Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) {
  const absl::Time now = options_.clock->Now();
  CACHECLIP_RETURN_IF_ERROR(ValidatePin(owner, expiry, now));
  CACHECLIP_ASSIGN_OR_RETURN(const Lock lock, Acquire());
  if (::access(ObjectPath(key).c_str(), F_OK) != 0) return FileError(errno, "pin", ObjectPath(key));
  return pins_.Add(key, owner, expiry, now);
}

absl::Status DiskFolder::Unpin(const ChunkKey& key, std::string_view owner) {
  CACHECLIP_ASSIGN_OR_RETURN(const Lock lock, Acquire());
  pins_.Remove(key, owner);
  return absl::OkStatus();
}

int64_t DiskFolder::evictions() const {
  std::lock_guard lock(mutex_);
  return evictions_;
}

}  // namespace cacheclip
