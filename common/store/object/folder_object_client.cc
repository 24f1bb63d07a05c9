#include "common/store/object/folder_object_client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/store/object/folder_listing.h"
#include "common/store/posix_file.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

std::string UniqueWriter() {
  std::random_device device;
  return absl::StrCat(absl::Hex(device(), absl::kZeroPad8), absl::Hex(device(), absl::kZeroPad8), "-",
                      ::getpid());
}

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? FileError(error.value(), "create folder", path) : absl::OkStatus();
}

absl::Status NamedObjectUrl(const absl::Status& status) {
  return status.ok() ? status : FieldError(status.code(), "object_url", StdView(status.message()));
}

int64_t NumLinks(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 ? static_cast<int64_t>(status.st_nlink) : 0;
}

}  // namespace

FolderObjectClient::FolderObjectClient(FolderObjectClientOptions options)
    : options_(std::move(options)), url_(absl::StrCat("file://", options_.folder)), writer_(UniqueWriter()) {}

absl::StatusOr<std::unique_ptr<FolderObjectClient>> FolderObjectClient::Open(
    FolderObjectClientOptions options) {
  if (!absl::StartsWith(options.folder, "/"))
    return InvalidField("object_url", "must name an absolute folder");
  if (options.step_bytes < 1)
    return InvalidField("step_bytes", absl::StrCat("must be positive, got ", options.step_bytes));
  std::unique_ptr<FolderObjectClient> client(new FolderObjectClient(std::move(options)));
  CACHECLIP_RETURN_IF_ERROR(NamedObjectUrl(MakeFolder(client->Path(kIncomingFolder))));
  CACHECLIP_RETURN_IF_ERROR(NamedObjectUrl(client->RemoveStaleFiles()));
  return client;
}

// Ages are told by the file server's clock: a file made now shows what it says.
absl::Status FolderObjectClient::RemoveStaleFiles() {
  const std::string probe = IncomingPath();
  CACHECLIP_RETURN_IF_ERROR(OpenFile(probe, O_WRONLY | O_CREAT | O_EXCL).status());
  std::error_code error;
  const fs::file_time_type now = fs::last_write_time(probe, error);
  ::unlink(probe.c_str());
  if (error) return FileError(error.value(), "stat", probe);
  for (const auto& entry : fs::directory_iterator(Path(kIncomingFolder), error)) {
    std::error_code ignored;  // the writer may finish, or another process remove the file, at any moment
    const auto written_at = entry.last_write_time(ignored);
    if (!ignored && now - written_at > absl::ToChronoNanoseconds(options_.stale_after))
      fs::remove(entry.path(), ignored);
  }
  return error ? FileError(error.value(), "list", Path(kIncomingFolder)) : absl::OkStatus();
}

std::string FolderObjectClient::Path(std::string_view name) const {
  return absl::StrCat(options_.folder, "/", AbslView(name));
}

std::string FolderObjectClient::IncomingPath() {
  return Path(absl::StrCat(AbslView(kIncomingFolder), "/", writer_, "-", ++num_written_));
}

void FolderObjectClient::Step(std::string_view name) const {
  if (options_.on_put_step) options_.on_put_step(name);
}

absl::Status FolderObjectClient::Put(std::string_view name, std::span<const std::byte> bytes, PutMode mode,
                                     const CancellationToken& token) {
  CACHECLIP_RETURN_IF_ERROR(ValidateObjectName(name));
  CACHECLIP_RETURN_IF_ERROR(token.Check());
  const std::string path = Path(name);
  const std::string folder = fs::path(path).parent_path().string();
  CACHECLIP_RETURN_IF_ERROR(MakeFolder(folder));
  const std::string incoming = IncomingPath();
  const absl::Cleanup remove_incoming = [&] { ::unlink(incoming.c_str()); };
  CACHECLIP_RETURN_IF_ERROR(WriteIncoming(incoming, bytes, token));
  Step("synced");
  CACHECLIP_RETURN_IF_ERROR(MakeVisible(incoming, path, mode));
  Step("linked");
  return SyncFolder(folder);
}

absl::Status FolderObjectClient::WriteIncoming(const std::string& path, std::span<const std::byte> bytes,
                                               const CancellationToken& token) {
  CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_WRONLY | O_CREAT | O_EXCL));
  Step("created");
  while (!bytes.empty()) {
    CACHECLIP_RETURN_IF_ERROR(token.Check());
    const size_t num_bytes = std::min<size_t>(bytes.size(), options_.step_bytes);
    CACHECLIP_RETURN_IF_ERROR(WriteAll(file, bytes.first(num_bytes), options_.step_bytes, path, {}));
    bytes = bytes.subspan(num_bytes);
    Step("wrote");
  }
  StampFile(file, options_.clock->Now(), path).IgnoreError();
  return SyncFile(file, path);
}

absl::Status FolderObjectClient::MakeVisible(const std::string& incoming, const std::string& path,
                                             PutMode mode) {
  if (mode == PutMode::kReplace)
    return ::rename(incoming.c_str(), path.c_str()) == 0 ? absl::OkStatus()
                                                         : FileError(errno, "rename", path);
  if (::link(incoming.c_str(), path.c_str()) == 0) return absl::OkStatus();
  const int error = errno;
  if (NumLinks(incoming) == 2) return absl::OkStatus();  // linked; only NFS' answer got lost
  if (error == EEXIST) return absl::AlreadyExistsError(path);
  if (error == EPERM || error == EOPNOTSUPP || error == EMLINK)
    return absl::UnimplementedError(absl::StrCat("no hard links in ", options_.folder));
  return FileError(error, "link", path);
}

absl::StatusOr<ObjectRead> FolderObjectClient::Read(std::string_view name, int64_t offset,
                                                    std::span<std::byte> out,
                                                    const CancellationToken& token) {
  CACHECLIP_RETURN_IF_ERROR(ValidateObjectName(name));
  CACHECLIP_RETURN_IF_ERROR(token.Check());
  const std::string path = Path(name);
  CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_RDONLY));
  struct stat status;
  if (::fstat(file.get(), &status) != 0) return FileError(errno, "stat", path);
  if (!S_ISREG(status.st_mode)) return absl::NotFoundError(absl::StrCat(path, " is no file"));
  ObjectRead read{0, status.st_size};
  while (read.num_bytes < static_cast<int64_t>(out.size())) {
    CACHECLIP_RETURN_IF_ERROR(token.Check());
    const std::span<std::byte> rest = out.subspan(read.num_bytes);
    const ssize_t count = ::pread(file.get(), rest.data(), std::min<size_t>(rest.size(), options_.step_bytes),
                                  offset + read.num_bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(errno, "read", path);
    if (count == 0) break;
    read.num_bytes += count;
  }
  return read;
}

absl::StatusOr<ObjectInfo> FolderObjectClient::Head(std::string_view name, const CancellationToken& token) {
  CACHECLIP_RETURN_IF_ERROR(ValidateObjectName(name));
  CACHECLIP_RETURN_IF_ERROR(token.Check());
  return StatObject(options_.folder, std::string(name));
}

absl::Status FolderObjectClient::Delete(std::string_view name, const CancellationToken& token) {
  CACHECLIP_RETURN_IF_ERROR(ValidateObjectName(name));
  CACHECLIP_RETURN_IF_ERROR(token.Check());
  const std::string path = Path(name);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return absl::OkStatus();
  return FileError(errno, "delete", path);
}

absl::StatusOr<ObjectPage> FolderObjectClient::List(std::string_view prefix, const std::string& page,
                                                    int max_objects, const CancellationToken& token) {
  return ListFolder(options_.folder, std::string(prefix), page, max_objects, token);
}

void FolderObjectClient::MarkUsed(std::string_view name, const CancellationToken& token) {
  if (!ValidateObjectName(name).ok() || !token.Check().ok()) return;
  const timespec stamps[2] = {{0, UTIME_OMIT}, absl::ToTimespec(options_.clock->Now())};
  ::utimensat(AT_FDCWD, Path(name).c_str(), stamps,
              0);  // a hint: a reader without the right to stamp may read
}

}  // namespace cacheclip
