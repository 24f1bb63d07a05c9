#include "common/store/posix_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.Release();
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

int FileDescriptor::Release() { return std::exchange(fd_, -1); }

absl::Status FileError(int error_number, std::string_view what, const std::string& path) {
  const std::string message =
      absl::StrCat(AbslView(what), " ", path, ": ", std::generic_category().message(error_number));
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags, int mode) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return FileDescriptor(fd);
    if (errno != EINTR) return FileError(errno, "open", path);
  }
}

absl::Status WriteAll(const FileDescriptor& file, std::span<const std::byte> bytes, int64_t step_bytes,
                      const std::string& path, const std::function<void()>& after_step) {
  while (!bytes.empty()) {
    const size_t wanted = std::min<size_t>(bytes.size(), step_bytes);
    const ssize_t written = ::write(file.get(), bytes.data(), wanted);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, "write", path);
    bytes = bytes.subspan(written);
    if (after_step) after_step();
  }
  return absl::OkStatus();
}

absl::Status SyncFile(const FileDescriptor& file, const std::string& path) {
  return ::fsync(file.get()) == 0 ? absl::OkStatus() : FileError(errno, "fsync", path);
}

absl::Status SyncFolder(const std::string& path) {
  CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor folder, OpenFile(path, O_RDONLY | O_DIRECTORY));
  return SyncFile(folder, path);
}

absl::Status StampFile(const FileDescriptor& file, absl::Time time, const std::string& path) {
  const timespec stamps[2] = {{0, UTIME_OMIT}, absl::ToTimespec(time)};
  return ::futimens(file.get(), stamps) == 0 ? absl::OkStatus() : FileError(errno, "stamp", path);
}

absl::StatusOr<MappedFile> MapFile(const std::string& path, std::optional<absl::Time> used_at) {
  MappedFile mapped;
  CACHECLIP_ASSIGN_OR_RETURN(mapped.file, OpenFile(path, O_RDONLY));
  struct stat status;
  if (::fstat(mapped.file.get(), &status) != 0) return FileError(errno, "stat", path);
  if (used_at.has_value())
    StampFile(mapped.file, *used_at, path)
        .IgnoreError();  // a reader without the right to stamp may still read
  mapped.inode = status.st_ino;
  if (status.st_size == 0) return mapped;
  const size_t num_bytes = status.st_size;
  void* memory = ::mmap(nullptr, num_bytes, PROT_READ, MAP_PRIVATE, mapped.file.get(), 0);
  if (memory == MAP_FAILED) return FileError(errno, "map", path);
  mapped.owner = std::shared_ptr<const void>(
      memory, [num_bytes](const void* address) { ::munmap(const_cast<void*>(address), num_bytes); });
  mapped.bytes = {static_cast<const std::byte*>(memory), num_bytes};
  return mapped;
}

namespace {

constexpr int64_t kReadStepBytes = int64_t{1} << 20;

// Whether the byte at `offset` is in the page cache; also true where the kernel cannot tell.
bool IsCached(int fd, int64_t offset) {
  char byte;
  const iovec target{&byte, 1};
  return ::preadv2(fd, &target, 1, offset, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

// Reads what is not in the page cache and throws the copy away: the pages stay.
absl::Status ReadIntoCache(int fd, int64_t offset, int64_t size) {
  thread_local const auto scratch = std::make_unique_for_overwrite<std::byte[]>(kReadStepBytes);
  for (const int64_t end = offset + size; offset < end;) {
    const int64_t step = std::min(kReadStepBytes, end - offset);
    if (IsCached(fd, offset) && IsCached(fd, offset + step - 1)) {
      offset += step;
      continue;
    }
    const ssize_t count = ::pread(fd, scratch.get(), static_cast<size_t>(step), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::UnavailableError("a mapped file cannot be read");
    if (count == 0) return absl::OkStatus();  // the file got shorter: populating the pages says so
    offset += count;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadPages(const MappedFile& mapped, int64_t offset, int64_t size) {
  static const auto page_bytes = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  CACHECLIP_RETURN_IF_ERROR(ReadIntoCache(mapped.file.get(), offset, size));
  const auto address = reinterpret_cast<uintptr_t>(mapped.bytes.data()) + static_cast<uintptr_t>(offset);
  const uintptr_t begin = address / page_bytes * page_bytes, end = address + static_cast<uintptr_t>(size);
  for (;;) {
    if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ) == 0) break;
    if (errno == EINTR) continue;
    if (errno == EFAULT) return absl::UnavailableError("a mapped file cannot be read");
    break;  // a kernel without this: the pages come when they are touched
  }
  return absl::OkStatus();
}

}  // namespace cacheclip
