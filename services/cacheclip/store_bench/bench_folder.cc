#include "services/cacheclip/store_bench/bench_folder.h"

#include <stdlib.h>

#include <filesystem>
#include <system_error>

#include "common/base/status.h"

namespace cacheclip {

absl::StatusOr<BenchFolder> BenchFolder::Make(const std::string& parent) {
  std::error_code error;
  std::string path = std::filesystem::absolute(parent, error).string() + "/bench_XXXXXX";
  if (error || ::mkdtemp(path.data()) == nullptr)
    return InvalidField("folder", parent + " cannot be written");
  return BenchFolder(std::move(path));
}

BenchFolder::~BenchFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace cacheclip
