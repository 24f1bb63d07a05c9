// Reads the safetensors format: 8-byte little-endian header length, a JSON header, then tensor bytes. Files
// are mapped, not copied; every length and offset is checked before use, so a truncated or hostile file is an
// error, never a crash. A checkpoint is `model.safetensors`, or shards named by
// `model.safetensors.index.json`. Thread-safe after opening. Views point into the mapping and live as long as
// the Checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/file.h"

namespace cacheclip {

enum class TensorDtype { kFloat32, kBfloat16, kFloat16 };

struct TensorView {
  TensorDtype dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// Parses one file's header. `bytes` is the whole file; the views point into it.
absl::StatusOr<std::map<std::string, TensorView>> ParseSafetensors(std::span<const std::byte> bytes);

class Checkpoint {
 public:
  static constexpr int64_t kMaxHeaderBytes = int64_t{100} << 20;
  static constexpr int kMaxShards = 1024;

  // Opens every shard in `directory`. Errors name the file.
  static absl::StatusOr<Checkpoint> Open(const std::string& directory);

  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::vector<std::string>& files() const { return files_; }  // absolute or as given, sorted
  // NOT_FOUND naming the tensor.
  absl::StatusOr<TensorView> Find(const std::string& name) const;

 private:
  std::vector<std::string> files_;
  std::vector<std::shared_ptr<const MappedFile>> mappings_;
  std::map<std::string, TensorView> tensors_;
};

}  // namespace cacheclip
