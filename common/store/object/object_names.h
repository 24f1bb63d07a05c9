// What the object tier calls its objects, relative to the place's prefix. Two levels, so that a folder holds
// few entries and a bucket's listing can be split by prefix. Values only; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/kv/chunk_key.h"

namespace cacheclip {

inline constexpr std::string_view kChunkObjectsPrefix = "chunks/";

std::string ChunkObjectName(const ChunkKey& key);  // "chunks/ab/<64 hex>.ccv", ab = the key's first byte
// nullopt for every name that ChunkObjectName() would not have made.
std::optional<ChunkKey> ParseChunkObjectName(std::string_view name);

std::string PinObjectsPrefix(const ChunkKey& key);                       // "pins/<64 hex>/"
std::string PinObjectName(const ChunkKey& key, std::string_view owner);  // …<64 hex of the owner's SHA-256>

}  // namespace cacheclip
