// Small chunks for tests: a seed decides the ids, hence the key, and every payload byte, so that two chunks
// of one seed are equal and chunks of different seeds differ everywhere. Values only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/kv/chunk_builder.h"
#include "common/kv/chunk_format.h"
#include "common/kv/chunk_header.h"
#include "common/kv/encoded_chunk.h"

namespace cacheclip {

struct TestChunkOptions {
  int32_t seed = 1;
  int64_t num_tokens = 5;
  KvShape shape = {2, 2, 8, KvDtype::kBf16};
  std::vector<int32_t> prefix_ids = {11, 12, 13};
};

inline ChunkHeader MakeTestHeader(const TestChunkOptions& options) {
  std::vector<int32_t> chunk_ids(options.num_tokens);
  for (size_t i = 0; i < chunk_ids.size(); ++i) chunk_ids[i] = options.seed * 1000 + static_cast<int32_t>(i);
  ChunkIdentity identity;
  identity.format_version = kChunkFormatVersion;
  identity.model_fingerprint.fill(0x11);
  identity.tokenizer_fingerprint.fill(0x22);
  identity.rope_parameters = "default theta=10000";
  identity.shape = options.shape;
  identity.prefix_ids = options.prefix_ids;
  identity.chunk_ids = chunk_ids;
  identity.namespace_salt = "test salt";
  ChunkHeader header = MakeChunkHeader(identity);
  for (uint32_t i = 0; i < chunk_ids.size(); ++i) header.token_spans.push_back({3 * i, 3 * i + 3});
  header.writer_version = "cacheclip test";
  header.created_unix_seconds = 1700000000;
  return header;
}

// The byte at `index` of a layer's keys (half 0) or values (half 1).
inline std::byte TestPayloadByte(int32_t seed, int32_t layer, int half, size_t index) {
  uint64_t mixed = (uint64_t{static_cast<uint32_t>(seed)} << 40) ^
                   (uint64_t{static_cast<uint32_t>(layer)} << 33) ^
                   (uint64_t{static_cast<uint32_t>(half)} << 32) ^ index;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return static_cast<std::byte>(mixed >> 56);
}

// The scale at `index` of a layer's keys or values, if the shape has scales: 0 … 255 / 1024.
inline float TestScale(int32_t seed, int32_t layer, int half, size_t index) {
  return static_cast<float>(TestPayloadByte(seed, layer, half + 2, index)) / 1024;
}

inline std::shared_ptr<const EncodedChunk> MakeTestChunk(const TestChunkOptions& options = {}) {
  ChunkBuilder builder = ChunkBuilder::Create(MakeTestHeader(options)).value();
  for (int32_t layer = 0; layer < options.shape.num_layers; ++layer) {
    const std::span<std::byte> halves[] = {builder.MutableKeys(layer), builder.MutableValues(layer)};
    for (int half = 0; half < 2; ++half)
      for (size_t i = 0; i < halves[half].size(); ++i)
        halves[half][i] = TestPayloadByte(options.seed, layer, half, i);
    const std::span<float> scales[] = {builder.MutableKeyScales(layer), builder.MutableValueScales(layer)};
    for (int half = 0; half < 2; ++half)
      for (size_t i = 0; i < scales[half].size(); ++i)
        scales[half][i] = TestScale(options.seed, layer, half, i);
  }
  return std::move(builder).Finish();
}

inline std::shared_ptr<const EncodedChunk> MakeTestChunk(int32_t seed) {
  return MakeTestChunk(TestChunkOptions{.seed = seed});
}

// An image that a test may damage.
inline std::vector<std::byte> CopyImage(const EncodedChunk& chunk) {
  return {chunk.image().begin(), chunk.image().end()};
}

}  // namespace cacheclip
