#include "common/store/disk_pins.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <span>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/store/chunk_store.h"
#include "common/store/posix_file.h"

namespace cacheclip {

namespace fs = std::filesystem;

// A digest, because an owner may contain any byte and a file name may not.
std::string DiskPins::OwnerFile(std::string_view owner) {
  Sha256 sha;
  return ToHex(sha.AddField(owner).Finish());
}

absl::Status DiskPins::Add(const ChunkKey& key, std::string_view owner, absl::Time expiry, absl::Time now) {
  const std::string folder = KeyFolder(key);
  const std::string path = absl::StrCat(folder, "/", OwnerFile(owner));
  const int64_t others = CountHolding(key, now);
  if (others >= kMaxPinsPerChunk && ::access(path.c_str(), F_OK) != 0)
    return absl::ResourceExhaustedError(absl::StrCat("chunk ", key.ToHex(), " has ", others, " pins"));
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return FileError(errno, "make folder", folder);
  // Killed before the stamp, the file's time is that of its making: a pin that has expired already.
  CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC));
  const auto name = std::as_bytes(std::span(owner.data(), owner.size()));
  CACHECLIP_RETURN_IF_ERROR(WriteAll(file, name, kMaxStorePinOwnerBytes, path, {}));
  return StampFile(file, expiry, path);
}

void DiskPins::Remove(const ChunkKey& key, std::string_view owner) {
  const std::string folder = KeyFolder(key);
  ::unlink(absl::StrCat(folder, "/", OwnerFile(owner)).c_str());
  ::rmdir(folder.c_str());  // fails while other owners remain
}

void DiskPins::RemoveAll(const ChunkKey& key) {
  std::error_code ignored;
  fs::remove_all(KeyFolder(key), ignored);
}

int64_t DiskPins::CountHolding(const ChunkKey& key, absl::Time now) {
  int64_t holding = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(KeyFolder(key), error)) {
    struct stat status;
    if (::stat(entry.path().c_str(), &status) != 0) continue;
    if (absl::TimeFromTimespec(status.st_mtim) > now)
      ++holding;
    else
      ::unlink(entry.path().c_str());
  }
  return holding;
}

bool DiskPins::IsPinned(const ChunkKey& key, absl::Time now) {
  if (CountHolding(key, now) > 0) return true;
  ::rmdir(KeyFolder(key).c_str());
  return false;
}

absl::flat_hash_set<ChunkKey> DiskPins::Pinned(absl::Time now) {
  absl::flat_hash_set<ChunkKey> pinned;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const auto key = ChunkKey::FromHex(entry.path().filename().string());
    if (key.ok() && IsPinned(*key, now)) pinned.insert(*key);
  }
  return pinned;
}

}  // namespace cacheclip
