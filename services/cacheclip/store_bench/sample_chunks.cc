#include "services/cacheclip/store_bench/sample_chunks.h"

#include <cstring>
#include <span>
#include <utility>

#include "common/base/status.h"
#include "common/kv/chunk_builder.h"
#include "common/kv/chunk_format.h"
#include "common/kv/chunk_key.h"

namespace cacheclip {
namespace {

// The upper halves of fp32 numbers in ±[0.5, 2), which is what bf16 numbers are; of fp32 the lower halves are
// such numbers as well.
void FillWithNumbers(std::span<std::byte> bytes, uint64_t& state) {
  for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const uint64_t random = state ^ (state >> 29);
    const uint64_t numbers = (random & 0x80ff80ff80ff80ffu) | 0x3f003f003f003f00u;
    std::memcpy(bytes.data() + at, &numbers, sizeof numbers);
  }
}

}  // namespace

absl::StatusOr<SampleChunks> MakeSampleChunks(const KvShape& shape, int num_tokens, int num_chunks,
                                              const std::string& salt) {
  SampleChunks chunks;
  uint64_t state = 1;
  for (int i = 0; i < num_chunks; ++i) {
    std::vector<int32_t> ids(num_tokens);
    for (int t = 0; t < num_tokens; ++t) ids[t] = i * 31 + t;
    CACHECLIP_ASSIGN_OR_RETURN(ChunkBuilder builder,
                               ChunkBuilder::Create(MakeChunkHeader({.format_version = kChunkFormatVersion,
                                                                     .shape = shape,
                                                                     .chunk_ids = ids,
                                                                     .namespace_salt = salt})));
    for (int32_t layer = 0; layer < shape.num_layers; ++layer) {
      FillWithNumbers(builder.MutableKeys(layer), state);
      FillWithNumbers(builder.MutableValues(layer), state);
    }
    chunks.push_back(std::move(builder).Finish());
  }
  return chunks;
}

int64_t TotalBytes(const SampleChunks& chunks) {
  int64_t bytes = 0;
  for (const auto& chunk : chunks) bytes += chunk->total_bytes();
  return bytes;
}

}  // namespace cacheclip
