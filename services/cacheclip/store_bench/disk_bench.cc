// The disk tier against plain files.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/kv/image_memory.h"
#include "common/store/disk_chunk_store.h"
#include "common/store/posix_file.h"
#include "services/cacheclip/store_bench/bench_folder.h"
#include "services/cacheclip/store_bench/comparison.h"
#include "services/cacheclip/store_bench/tier_benches.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

constexpr char kTier[] = "disk";
constexpr int64_t kReadStepBytes = int64_t{1} << 20;    // dd bs=1M
constexpr int64_t kDirectStepBytes = int64_t{4} << 20;  // without readahead, larger steps are needed
constexpr int64_t kWriteStepBytes = int64_t{8} << 20;

std::vector<std::string> FilesIn(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

// The kernel drops clean pages that nobody maps.
absl::Status DropPageCache(const std::vector<std::string>& files) {
  for (const std::string& path : files) {
    CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_RDONLY));
    if (const int error = ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED); error != 0)
      return FileError(error, "drop from the page cache", path);
  }
  return absl::OkStatus();
}

// Share of the first file's pages that are in the page cache: whether dropping works here (not on tmpfs).
absl::StatusOr<double> CachedShare(const std::string& path) {
  CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_RDONLY));
  const auto bytes = static_cast<size_t>(fs::file_size(path));
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* const memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return FileError(errno, "map", path);
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  const int result = ::mincore(memory, bytes, pages.data());
  ::munmap(memory, bytes);
  if (result != 0) return FileError(errno, "ask for the pages of", path);
  const auto cached = std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return p & 1; });
  return static_cast<double>(cached) / static_cast<double>(pages.size());
}

absl::Status ReadFile(const std::string& path, int flags, int64_t step_bytes, std::span<std::byte> buffer) {
  CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_RDONLY | flags));
  for (int64_t offset = 0;;) {
    const ssize_t count = ::pread(file.get(), buffer.data(), step_bytes, offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(errno, "read", path);
    if (count == 0) return absl::OkStatus();
    offset += count;
  }
}

class DiskBench {
 public:
  DiskBench(const StoreBench& bench, std::string folder)
      : bench_(bench), tier_folder_(folder + "/tier"), plain_folder_(folder + "/plain") {}

  absl::Status Run() {
    CACHECLIP_RETURN_IF_ERROR(OpenStore());
    CACHECLIP_RETURN_IF_ERROR(CompareWrites());
    files_ = FilesIn(tier_folder_ + "/objects");
    CACHECLIP_RETURN_IF_ERROR(CompareReads("read, warm", "pread, warm", Drop::kNo, 0, kReadStepBytes));
    CACHECLIP_RETURN_IF_ERROR(DropPageCache(files_));
    CACHECLIP_ASSIGN_OR_RETURN(const double cached, CachedShare(files_[0]));
    if (cached > 0.05)
      return absl::UnavailableError(absl::StrCat(tier_folder_, " keeps its files in the page cache"));
    CACHECLIP_RETURN_IF_ERROR(CompareReads("read, cold", "pread, cold", Drop::kYes, 0, kReadStepBytes));
    // Some file systems have no O_DIRECT; the row is left out there.
    if (!OpenFile(files_[0], O_RDONLY | O_DIRECT).ok()) return absl::OkStatus();
    return CompareReads("read, cold", "pread with O_DIRECT", Drop::kYes, O_DIRECT, kDirectStepBytes);
  }

 private:
  enum class Drop { kNo, kYes };

  absl::Status OpenStore() {
    DiskChunkStoreOptions options;
    options.folder = tier_folder_;
    CACHECLIP_ASSIGN_OR_RETURN(store_, DiskChunkStore::Open(std::move(options)));
    return absl::OkStatus();
  }
  int count() const { return bench_.options.num_chunks; }
  int num_threads() const { return bench_.options.num_threads; }

  absl::Status CompareWrites() {
    const auto measure = [&]() -> absl::StatusOr<double> {
      for (const auto& chunk : bench_.chunks) CACHECLIP_RETURN_IF_ERROR(store_->Delete(chunk->key()));
      return TimeOnThreads(num_threads(), count(), [&](int i) { return store_->Put(bench_.chunks[i]); });
    };
    const auto measure_limit = [&]() -> absl::StatusOr<double> {
      std::error_code ignored;
      fs::remove_all(plain_folder_, ignored);
      fs::create_directories(plain_folder_);
      return TimeOnThreads(num_threads(), count(), [&](int i) { return WritePlainFile(i); });
    };
    return Add({.tier = kTier,
                .operation = "write",
                .limit = "write and fsync",
                .num_bytes = TotalBytes(bench_.chunks),
                .target = 0.8,
                .measure = measure,
                .measure_limit = measure_limit});
  }

  absl::Status WritePlainFile(int index) {
    const std::string path = absl::StrCat(plain_folder_, "/", index);
    CACHECLIP_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    CACHECLIP_RETURN_IF_ERROR(WriteAll(file, bench_.chunks[index]->image(), kWriteStepBytes, path, {}));
    return SyncFile(file, path);
  }

  absl::Status CompareReads(const std::string& operation, const std::string& limit, Drop drop, int flags,
                            int64_t step_bytes) {
    const auto prepare = [this, drop] {
      return drop == Drop::kYes ? DropPageCache(files_) : absl::OkStatus();
    };
    const auto measure = [&]() -> absl::StatusOr<double> {
      CACHECLIP_RETURN_IF_ERROR(prepare());
      return TimeOnThreads(num_threads(), count(),
                           [&](int i) { return store_->Get(bench_.chunks[i]->key()).status(); });
    };
    const auto measure_limit = [&]() -> absl::StatusOr<double> {
      CACHECLIP_RETURN_IF_ERROR(prepare());
      return TimeOnThreads(num_threads(), count(), [&](int i) -> absl::Status {
        // Once per file, as a reader that keeps nothing: a page-aligned buffer of one step.
        CACHECLIP_ASSIGN_OR_RETURN(const AlignedBytes buffer, AllocateImage(kDirectStepBytes));
        return ReadFile(files_[i], flags, step_bytes, buffer.span());
      });
    };
    return Add({.tier = kTier,
                .operation = operation,
                .limit = limit,
                .num_bytes = TotalBytes(bench_.chunks),
                .target = 0.8,
                .measure = measure,
                .measure_limit = measure_limit});
  }

  absl::Status Add(const Comparison& comparison) {
    CACHECLIP_ASSIGN_OR_RETURN(nlohmann::json row, Compare(comparison, bench_.options));
    if (comparison.operation == "read, cold") row["made_cold_by"] = "posix_fadvise(POSIX_FADV_DONTNEED)";
    bench_.rows.push_back(std::move(row));
    return absl::OkStatus();
  }

  const StoreBench& bench_;
  const std::string tier_folder_, plain_folder_;
  std::unique_ptr<DiskChunkStore> store_;
  std::vector<std::string> files_;
};

}  // namespace

absl::Status BenchDiskTier(const StoreBench& bench) {
  CACHECLIP_ASSIGN_OR_RETURN(const BenchFolder folder, BenchFolder::Make(bench.folder));
  return DiskBench(bench, folder.path()).Run();
}

}  // namespace cacheclip
