// Whole-file reads and read-only memory maps, with errors that carry the path and errno. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace cacheclip {

// NOT_FOUND if the file does not exist; RESOURCE_EXHAUSTED above `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes = int64_t{256} << 20);

// A read-only mapping of a whole file. The bytes stay valid until destruction, also after the file is
// unlinked. A file that another process truncates meanwhile faults: map only files that are replaced by
// rename.
class MappedFile {
 public:
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, num_bytes_}; }

 private:
  MappedFile(const std::byte* data, size_t num_bytes) : data_(data), num_bytes_(num_bytes) {}
  const std::byte* data_;
  size_t num_bytes_;
};

}  // namespace cacheclip
