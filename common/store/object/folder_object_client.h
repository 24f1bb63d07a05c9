// Objects as files of a folder that several machines share (NFS and the like; also a local one). Needs only
// what such file systems keep: exclusive creation, hard link or rename within the folder, fsync. No locks, no
// maps.
//
//   <folder>/<object name>      a complete object; modification time = when it was put or last used
//   <folder>/.incoming/<unique> an object being written; left behind by a killed writer, and removed at the
//                               next Open() once the file server's clock says it is older than stale_after
//
// Put(): write and fsync the temporary file, then link it to its name (kIfAbsent, decided by the file server)
// or rename it, then fsync the folder. The token is looked at between steps; a call into a file system that
// hangs cannot be interrupted: callers that must not hang do not wait on this thread. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/store/object/object_client.h"

namespace cacheclip {

struct FolderObjectClientOptions {
  std::string folder;                            // absolute; created if missing
  int64_t step_bytes = int64_t{4} << 20;         // handed to one read or write
  absl::Duration stale_after = absl::Hours(24);  // longer than any put takes
  Clock* clock = RealClock();                    // stamps uses; outlives the client
  // Called between the steps of Put() ("created", "wrote", "synced", "linked"); tests kill the process there.
  std::function<void(std::string_view step)> on_put_step;
};

class FolderObjectClient : public ObjectClient {
 public:
  // Errors name object_url.
  static absl::StatusOr<std::unique_ptr<FolderObjectClient>> Open(FolderObjectClientOptions options);

  absl::Status Put(std::string_view name, std::span<const std::byte> bytes, PutMode mode,
                   const CancellationToken& token) override;
  absl::StatusOr<ObjectRead> Read(std::string_view name, int64_t offset, std::span<std::byte> out,
                                  const CancellationToken& token) override;
  absl::StatusOr<ObjectInfo> Head(std::string_view name, const CancellationToken& token) override;
  absl::Status Delete(std::string_view name, const CancellationToken& token) override;
  // Visits the files in the order of their names; `page` is the last name of the page before.
  absl::StatusOr<ObjectPage> List(std::string_view prefix, const std::string& page, int max_objects,
                                  const CancellationToken& token) override;
  void MarkUsed(std::string_view name, const CancellationToken& token) override;
  const std::string& url() const override { return url_; }

 private:
  explicit FolderObjectClient(FolderObjectClientOptions options);

  absl::Status RemoveStaleFiles();
  std::string Path(std::string_view name) const;
  std::string IncomingPath();
  absl::Status WriteIncoming(const std::string& path, std::span<const std::byte> bytes,
                             const CancellationToken& token);
  absl::Status MakeVisible(const std::string& incoming, const std::string& path, PutMode mode);
  void Step(std::string_view name) const;

  const FolderObjectClientOptions options_;
  const std::string url_;
  const std::string writer_;  // unique among writers of the folder
  std::atomic<int64_t> num_written_{0};
};

}  // namespace cacheclip
