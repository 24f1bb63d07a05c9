#include "common/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

struct OpenFile {
  int descriptor;
  int64_t num_bytes;
};

absl::StatusOr<OpenFile> OpenForReading(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  struct stat info;
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  }
  return OpenFile{descriptor, info.st_size};
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  CACHECLIP_ASSIGN_OR_RETURN(const OpenFile file, OpenForReading(path));
  const auto close = absl::MakeCleanup([&] { ::close(file.descriptor); });
  if (file.num_bytes > max_bytes)
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " has ", file.num_bytes, " bytes, at most ", max_bytes));
  std::string text(static_cast<size_t>(file.num_bytes), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(file.descriptor, text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  CACHECLIP_ASSIGN_OR_RETURN(const OpenFile file, OpenForReading(path));
  const auto close = absl::MakeCleanup([&] { ::close(file.descriptor); });
  if (file.num_bytes == 0) return std::shared_ptr<const MappedFile>(new MappedFile(nullptr, 0));
  void* data =
      ::mmap(nullptr, static_cast<size_t>(file.num_bytes), PROT_READ, MAP_PRIVATE, file.descriptor, 0);
  if (data == MAP_FAILED) return absl::ErrnoToStatus(errno, absl::StrCat("cannot map ", path));
  return std::shared_ptr<const MappedFile>(
      new MappedFile(static_cast<const std::byte*>(data), static_cast<size_t>(file.num_bytes)));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), num_bytes_);
}

}  // namespace cacheclip
