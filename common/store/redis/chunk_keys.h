// How a chunk lies in Redis. All keys of a chunk share the hash tag {<64 hex>}, hence a cluster node:
//
//   cc:kv:{<chunk key>}:h               the header exactly as in docs/chunk-format.md; there = the chunk is
//   visible cc:kv:{<chunk key>}:<version>:<n>   slice n of the payload cc:kv:{<chunk key>}:p pins: hash of
//   owner -> expiry in Unix milliseconds
//
// <version> is the header's own checksum in hex: two writers of the same chunk whose bytes differ (another
// machine rounds differently) never mix their slices. Every key has a TTL. Values only; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/kv/chunk_key.h"

namespace cacheclip {

inline constexpr std::string_view kRedisHeaderPattern = "cc:kv:{*}:h";

std::string RedisHeaderKey(const ChunkKey& key);
std::string RedisPinsKey(const ChunkKey& key);
// `header_bytes` must be a whole header.
std::string RedisSliceKey(const ChunkKey& key, std::span<const std::byte> header_bytes, size_t index);

// Header, pins and all slices, in the order that the scripts of chunk_scripts.h expect.
std::vector<std::string> AllRedisKeys(const ChunkKey& key, std::span<const std::byte> header_bytes,
                                      size_t num_slices);

// The last 8 bytes of a header: what a script compares to know that it still is the same header.
std::string_view RedisHeaderTail(std::span<const std::byte> header_bytes);

// The chunk of a header key; empty for any other name.
std::optional<ChunkKey> ChunkOfRedisHeaderKey(std::string_view name);

}  // namespace cacheclip
