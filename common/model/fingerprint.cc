#include "common/model/fingerprint.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

// Path, size and modification time of every file that goes into the fingerprint.
std::string CacheKey(const std::string& directory, const Checkpoint& checkpoint) {
  Sha256 hash;
  std::vector<std::string> files = checkpoint.files();
  files.push_back(directory + "/config.json");
  for (const std::string& file : files) {
    std::error_code error;
    struct stat info = {};
    ::stat(file.c_str(), &info);
    hash.AddField(fs::absolute(file, error).string());
    hash.AddInteger(static_cast<uint64_t>(info.st_size));
    hash.AddInteger(static_cast<uint64_t>(info.st_mtim.tv_sec))
        .AddInteger(static_cast<uint64_t>(info.st_mtim.tv_nsec));
  }
  return ToHex(hash.Finish());
}

Digest HashContent(const std::string& config, const Checkpoint& checkpoint) {
  Sha256 hash;
  hash.AddField(config);
  for (const auto& [name, view] : checkpoint.tensors()) {
    hash.AddField(name).AddInteger(static_cast<uint64_t>(view.dtype)).AddInteger(view.shape.size());
    for (int64_t dimension : view.shape) hash.AddInteger(static_cast<uint64_t>(dimension));
    hash.AddField({reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size()});
  }
  return hash.Finish();
}

void WriteCache(const fs::path& file, const Digest& digest) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  const fs::path temporary = file.string() + absl::StrCat(".", ::getpid());
  std::ofstream(temporary) << ToHex(digest);
  fs::rename(temporary, file, error);
}

}  // namespace

absl::StatusOr<Digest> WeightsFingerprint(const std::string& directory, const Checkpoint& checkpoint,
                                          const std::string& cache_directory) {
  const fs::path cached = fs::path(cache_directory) / "fingerprints" / CacheKey(directory, checkpoint);
  Digest digest;
  if (!cache_directory.empty()) {
    const absl::StatusOr<std::string> hex = ReadFile(cached.string());
    if (hex.ok() && FromHex(*hex, digest)) return digest;
  }
  CACHECLIP_ASSIGN_OR_RETURN(const std::string config, ReadFile(directory + "/config.json"));
  digest = HashContent(config, checkpoint);
  if (!cache_directory.empty()) WriteCache(cached, digest);
  return digest;
}

}  // namespace cacheclip
