// A catalogue and a store in memory whose faults a test switches on, and which call it back where another
// replica could come between. Belong to one test.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/catalog/in_memory_catalog.h"
#include "common/store/memory_chunk_store.h"

namespace cacheclip {

// A catalogue that can be cut off.
class CuttableCatalog : public InMemoryCatalog {
 public:
  using InMemoryCatalog::InMemoryCatalog;
  std::atomic<bool> is_down{false};

  absl::StatusOr<Prefix> GetPrefix(std::string_view name, std::string_view id) override {
    if (is_down) return absl::UnavailableError("catalogue is down");
    return InMemoryCatalog::GetPrefix(name, id);
  }
  absl::StatusOr<std::vector<std::optional<ChunkRecord>>> ResolveChunks(
      std::string_view name, std::span<const std::string> ids) override {
    ++num_lookups;
    if (is_down) return absl::UnavailableError("catalogue is down");
    return InMemoryCatalog::ResolveChunks(name, ids);
  }
  absl::StatusOr<Removal> SweepExpired() override {
    if (is_down) return absl::UnavailableError("catalogue is down");
    return InMemoryCatalog::SweepExpired();
  }
  // Called before a document is entered: what another replica does at that moment.
  std::function<void()> before_put_document;
  absl::StatusOr<std::vector<std::string>> PutDocument(const Document& document,
                                                       std::span<const ChunkRecord> chunks) override {
    if (const auto step = std::exchange(before_put_document, nullptr)) step();
    return InMemoryCatalog::PutDocument(document, chunks);
  }
  std::atomic<int> num_lookups{0};
};

// A store whose answers a test can replace; unset functions change nothing.
class FaultyStore : public MemoryChunkStore {
 public:
  using MemoryChunkStore::MemoryChunkStore;
  std::function<std::optional<absl::StatusOr<StoreHit>>(const ChunkKey&)> on_get;
  std::function<absl::Status()> on_put;
  std::function<void()> before_delete;  // once: what another replica does at that moment

  absl::StatusOr<StoreHit> Get(const ChunkKey& key, const GetOptions& options) override {
    if (on_get)
      if (auto answer = on_get(key); answer.has_value()) return *std::move(answer);
    return MemoryChunkStore::Get(key, options);
  }
  using ChunkStore::Get;
  absl::Status PutInGroup(std::shared_ptr<const EncodedChunk> chunk, std::string_view group) override {
    if (on_put)
      if (absl::Status status = on_put(); !status.ok()) return status;
    return MemoryChunkStore::PutInGroup(std::move(chunk), group);
  }
  absl::Status Delete(const ChunkKey& key) override {
    if (const auto step = std::exchange(before_delete, nullptr)) step();
    return MemoryChunkStore::Delete(key);
  }
};

}  // namespace cacheclip
