// The few file operations of the disk tier, each returning a Status that names the path: open, write in
// steps, fsync a folder, map for reading. Out of space, out of quota and over the file size limit are
// RESOURCE_EXHAUSTED. Values and free functions; thread-safe. A FileDescriptor has one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cacheclip {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }
  int Release();  // the caller closes it

 private:
  int fd_ = -1;
};

// The status of a failed call: "<what> <path>: <reason>".
absl::Status FileError(int error_number, std::string_view what, const std::string& path);

absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags, int mode = 0644);

// Writes all bytes, at most `step_bytes` per write(2), calling `after_step` after each.
absl::Status WriteAll(const FileDescriptor& file, std::span<const std::byte> bytes, int64_t step_bytes,
                      const std::string& path, const std::function<void()>& after_step);

absl::Status SyncFile(const FileDescriptor& file, const std::string& path);
absl::Status SyncFolder(const std::string& path);  // makes renames and unlinks in it durable

// Sets the modification time, which the disk tier uses as the stamp of last use or of expiry.
absl::Status StampFile(const FileDescriptor& file, absl::Time time, const std::string& path);

struct MappedFile {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  // unmaps when the last copy goes; the file may be unlinked before
  FileDescriptor file;
  uint64_t inode = 0;
};
// NOT_FOUND when there is no such file. Stamps it with `used_at` if that is given. Reads nothing yet: bytes
// are touched after LoadPages().
absl::StatusOr<MappedFile> MapFile(const std::string& path, std::optional<absl::Time> used_at);

// Brings `size` bytes from `offset` into memory and into the page table, so that touching them neither waits
// nor faults. What is not in the page cache comes by read calls: the kernel reads ahead better for them than
// for mappings (docs/testing.md). UNAVAILABLE: the disk does not give it (touching it would end the process).
absl::Status LoadPages(const MappedFile& mapped, int64_t offset, int64_t size);

}  // namespace cacheclip
