// A folder for the files of a measurement, removed with everything in it when the object goes. One thread.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace cacheclip {

class BenchFolder {
 public:
  // Below `parent`, which must exist. INVALID_ARGUMENT naming "folder".
  static absl::StatusOr<BenchFolder> Make(const std::string& parent);
  BenchFolder(BenchFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  BenchFolder& operator=(BenchFolder&&) = delete;
  ~BenchFolder();

  const std::string& path() const { return path_; }  // absolute

 private:
  explicit BenchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace cacheclip
