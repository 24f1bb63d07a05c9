// The accounting half of common/store/disk_folder.h: what the folder holds, and what goes when it is full.
// Everything here that changes something runs under the folder's lock.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <span>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/store/disk_folder.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

// What the usage file holds: the numbers and, to tell a torn or foreign file, their sum with a constant.
struct UsageRecord {
  int64_t bytes;
  int64_t objects;
  int64_t check;
};
constexpr int64_t kUsageCheck = 0x63636c6970757361;

// Calls `visit(key, path)` for every object file; names that are no keys are not ours and are left alone.
template <typename Visit>
absl::Status VisitObjects(const std::string& objects_folder, Visit visit) {
  std::error_code error;
  for (fs::directory_iterator folder(objects_folder, error), end; !error && folder != end;
       folder.increment(error)) {
    std::error_code inner_error;
    for (fs::directory_iterator file(folder->path(), inner_error); !inner_error && file != end;
         file.increment(inner_error)) {
      const std::string name = folder->path().filename().string() + file->path().stem().string();
      const auto key = ChunkKey::FromHex(name);
      if (key.ok() && file->path().extension() == DiskFolder::kObjectSuffix)
        visit(*key, file->path().string());
    }
    if (inner_error && inner_error.value() != ENOTDIR)
      return FileError(inner_error.value(), "list", folder->path().string());
  }
  return error ? FileError(error.value(), "list", objects_folder) : absl::OkStatus();
}

// A temporary file whose lock can be had has lost its writer: writers lock theirs before the folder's lock
// goes.
bool WriterIsAlive(const std::string& path) {
  const auto file = OpenFile(path, O_RDONLY);
  return file.ok() && ::flock(file->get(), LOCK_EX | LOCK_NB) != 0;
}

}  // namespace

absl::Status DiskFolder::CountTempFiles(DiskUsage& usage) const {
  std::error_code error;
  for (fs::directory_iterator file(Path("temp"), error), end; !error && file != end; file.increment(error)) {
    const std::string path = file->path().string();
    const std::vector<std::string> parts = absl::StrSplit(file->path().filename().string(), '.');
    int64_t reserved_bytes = 0;
    if (WriterIsAlive(path) && parts.size() >= 2 && absl::SimpleAtoi(parts[1], &reserved_bytes)) {
      usage.bytes += reserved_bytes;
      ++usage.objects;
    } else {
      ::unlink(path.c_str());
    }
  }
  return error ? FileError(error.value(), "list", Path("temp")) : absl::OkStatus();
}

absl::StatusOr<DiskUsage> DiskFolder::Rescan() {
  DiskUsage usage;
  CACHECLIP_RETURN_IF_ERROR(CountTempFiles(usage));
  const auto pinned = pins_.Pinned(options_.clock->Now());
  candidates_.clear();
  CACHECLIP_RETURN_IF_ERROR(VisitObjects(Path("objects"), [&](const ChunkKey& key, const std::string& path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) return;
    usage.bytes += status.st_size;
    ++usage.objects;
    if (!pinned.contains(key))
      candidates_.push_back({key, status.st_size, absl::TimeFromTimespec(status.st_mtim)});
  }));
  std::ranges::sort(candidates_, [](const Candidate& a, const Candidate& b) {
    return std::tie(a.used_at, a.key) > std::tie(b.used_at, b.key);
  });
  return usage;
}

bool DiskFolder::Fits(const DiskUsage& usage, const DiskUsage& wanted) const {
  return usage.bytes + wanted.bytes <= options_.max_bytes &&
         usage.objects + wanted.objects <= options_.max_objects;
}

// Takes candidates from the list of the last scan while it lasts, then scans once more; refuses before it
// evicts when even all candidates of a fresh scan would not be enough.
absl::StatusOr<DiskUsage> DiskFolder::MakeRoom(const DiskUsage& wanted) {
  DiskUsage usage;
  if (const auto counted = ReadUsage(); counted.ok()) {
    usage = *counted;
    EvictUntilFits(usage, wanted);
    if (Fits(usage, wanted)) return usage;
  }
  CACHECLIP_ASSIGN_OR_RETURN(usage, Rescan());
  DiskUsage at_best = usage;
  for (const Candidate& candidate : candidates_) {
    at_best.bytes -= candidate.bytes;
    --at_best.objects;
  }
  if (Fits(at_best, wanted)) EvictUntilFits(usage, wanted);
  CACHECLIP_RETURN_IF_ERROR(WriteUsage(usage));
  if (Fits(usage, wanted)) return usage;
  return absl::ResourceExhaustedError(
      absl::StrCat("no room for ", wanted.bytes, " bytes in ", options_.folder, ": ", usage.bytes,
                   " bytes in ", usage.objects, " chunks of at most ", options_.max_bytes, " in ",
                   options_.max_objects, ", and what is not pinned would not make enough"));
}

void DiskFolder::EvictUntilFits(DiskUsage& usage, const DiskUsage& wanted) {
  const absl::Time now = options_.clock->Now();
  while (!Fits(usage, wanted) && !candidates_.empty()) {
    const Candidate candidate = candidates_.back();
    candidates_.pop_back();
    const std::string path = ObjectPath(candidate.key);
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) continue;
    // Used or pinned since the scan: no longer the one to go.
    if (absl::TimeFromTimespec(status.st_mtim) != candidate.used_at || pins_.IsPinned(candidate.key, now))
      continue;
    if (::unlink(path.c_str()) != 0) continue;
    usage.bytes -= status.st_size;
    --usage.objects;
    ++evictions_;
  }
}

bool DiskFolder::HasRoomFor(int64_t bytes) const {
  const DiskUsage held = usage();
  return held.bytes + bytes <= options_.watermarks.LowBytes(options_.max_bytes) &&
         held.objects < options_.max_objects;
}

// In steps, so that a Put() does not wait for the lock until the last file is gone.
absl::Status DiskFolder::EvictToLowWater() {
  constexpr int64_t kStepBytes = int64_t{64} << 20;
  const int64_t low_bytes = options_.watermarks.LowBytes(options_.max_bytes);
  if (!options_.watermarks.IsAbove(usage().bytes, options_.max_bytes)) return absl::OkStatus();
  for (int64_t held = usage().bytes; held > low_bytes; held = usage().bytes) {
    CACHECLIP_ASSIGN_OR_RETURN(const Lock lock, Acquire());
    const int64_t goal = std::max(low_bytes, held - kStepBytes);
    CACHECLIP_ASSIGN_OR_RETURN(const DiskUsage usage, MakeRoom({options_.max_bytes - goal, 0}));
    CACHECLIP_RETURN_IF_ERROR(WriteUsage(usage));
  }
  return absl::OkStatus();
}

// Bytes of the group's chunks, those being written included, and those that may go, in no order. A chunk that
// is neither there nor being written has lost its marker's meaning.
absl::StatusOr<int64_t> DiskFolder::ListGroup(std::string_view group, std::vector<Candidate>& evictable) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto members, groups_.Members(group));
  const absl::Time now = options_.clock->Now();
  std::vector<std::string> being_written;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(Path("temp"), error))
    being_written.push_back(file.path().filename().string());
  int64_t bytes = 0;
  for (const DiskGroups::Member& member : members) {
    struct stat status;
    if (::stat(ObjectPath(member.key).c_str(), &status) == 0) {
      bytes += status.st_size;
      if (!pins_.IsPinned(member.key, now))
        evictable.push_back({member.key, status.st_size, absl::TimeFromTimespec(status.st_mtim)});
    } else if (std::ranges::any_of(being_written, [hex = member.key.ToHex()](const std::string& name) {
                 return name.starts_with(hex);
               })) {
      bytes += member.bytes;
    } else {
      groups_.Remove(group, member);
    }
  }
  return bytes;
}

absl::Status DiskFolder::MakeGroupRoom(std::string_view group, int64_t bytes) {
  const int64_t quota = options_.quotas.Of(group);
  std::vector<Candidate> evictable;
  CACHECLIP_ASSIGN_OR_RETURN(int64_t held, ListGroup(group, evictable));
  int64_t at_best = held;
  for (const Candidate& candidate : evictable) at_best -= candidate.bytes;
  if (at_best + bytes > quota)
    return absl::ResourceExhaustedError(absl::StrCat("a chunk of ", bytes,
                                                     " bytes does not fit into the quota of ", quota,
                                                     " bytes of its group; ", held, " are held"));
  std::ranges::sort(evictable, {}, &Candidate::used_at);
  for (const Candidate& candidate : evictable) {
    if (held + bytes <= quota) break;
    if (::unlink(ObjectPath(candidate.key).c_str()) != 0) continue;
    groups_.Remove(group, {candidate.key, candidate.bytes});
    CACHECLIP_RETURN_IF_ERROR(LowerUsage(candidate.bytes));
    held -= candidate.bytes;
    ++evictions_;
  }
  return absl::OkStatus();
}

int64_t DiskFolder::group_bytes(std::string_view group) {
  const auto lock = Acquire();
  std::vector<Candidate> evictable;
  return lock.ok() ? ListGroup(group, evictable).value_or(0) : 0;
}

absl::StatusOr<DiskUsage> DiskFolder::ReadUsage() const {
  const std::string path = Path("usage");
  CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_RDONLY));
  UsageRecord record{};
  const ssize_t num_read = ::pread(file.get(), &record, sizeof record, 0);
  if (num_read < 0) return FileError(errno, "read", path);
  if (num_read != sizeof record || record.check != kUsageCheck + record.bytes + record.objects)
    return absl::DataLossError(absl::StrCat(path, " is damaged"));
  return DiskUsage{record.bytes, record.objects};
}

absl::Status DiskFolder::WriteUsage(const DiskUsage& usage) const {
  const std::string path = Path("usage");
  CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_WRONLY | O_CREAT));
  const UsageRecord record{usage.bytes, usage.objects, kUsageCheck + usage.bytes + usage.objects};
  const ssize_t written = ::pwrite(file.get(), &record, sizeof record, 0);
  return written == sizeof record ? absl::OkStatus() : FileError(written < 0 ? errno : ENOSPC, "write", path);
}

absl::Status DiskFolder::LowerUsage(int64_t bytes) const {
  const auto usage = ReadUsage();
  if (!usage.ok()) return absl::OkStatus();  // a missing or damaged count is made anew when room is asked for
  return WriteUsage({std::max<int64_t>(0, usage->bytes - bytes), std::max<int64_t>(0, usage->objects - 1)});
}

DiskUsage DiskFolder::usage() const {
  const auto usage = ReadUsage();
  return usage.ok() ? *usage : DiskUsage{};
}

absl::Status DiskFolder::ForEach(const ChunkStore::Visitor& visitor) const {
  std::vector<std::pair<ChunkKey, int64_t>> held;
  CACHECLIP_RETURN_IF_ERROR(VisitObjects(Path("objects"), [&](const ChunkKey& key, const std::string& path) {
    struct stat status;
    if (::stat(path.c_str(), &status) == 0) held.emplace_back(key, status.st_size);
  }));
  for (const auto& [key, bytes] : held) visitor(key, bytes);
  return absl::OkStatus();
}

}  // namespace cacheclip
