// A registered prefix made ready for work: its ids, the layout of prompts behind it, and the encoder that keys and encodes
// chunks behind it. PrefixContexts keeps one per (namespace, prefix) and checks that the prefix was registered for the
// model and tokenizer now loaded (FAILED_PRECONDITION otherwise, naming both fingerprints).
// Thread-safe. Encoding runs on the compute executor. At most kMaxPrefixContexts are kept (LRU).
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/serial_executor.h"
#include "common/catalog/catalog.h"
#include "common/model/chunk_encoder.h"
#include "common/store/chunk_store.h"
#include "common/text/prompt_layout.h"

namespace cacheclip {

// What ingestion and generation share: one model, its text side, the stores, the compute thread. Owned by main.
struct Runtime {
  std::shared_ptr<const LanguageModel> model;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const PromptLayout> layout;
  Catalog* catalog = nullptr;
  ChunkStore* store = nullptr;
  SerialExecutor* executor = nullptr;
  Clock* clock = RealClock();
  std::map<std::string, std::string, std::less<>> namespace_salts;  // from configuration; absent = default_salt
  std::string default_salt;
  std::string writer_version;

  const std::string& SaltOf(std::string_view namespace_name) const;
};

class PrefixContext {
 public:
  PrefixContext(const Runtime& runtime, Prefix record);

  const Prefix& record() const { return record_; }
  const PrefixSpec& spec() const { return spec_; }

  absl::StatusOr<Encoding> TokenizeChunk(std::string_view text, std::string_view title) const;
  ChunkKey KeyOf(std::span<const int32_t> chunk_ids) const { return encoder_.KeyOf(chunk_ids); }

  // Encodes behind the prefix, alone: the same KV a hit would give. Blocks until the compute thread has done it.
  absl::StatusOr<std::shared_ptr<const EncodedChunk>> Encode(const Encoding& chunk, TaskPriority priority,
                                                             const CancellationToken& cancellation);
  // The prefix's own KV, from the store or computed and stored.
  absl::StatusOr<StoreHit> PrefixChunk(TaskPriority priority);

 private:
  const Runtime& runtime_;
  const Prefix record_;
  const PrefixSpec spec_;
  ChunkEncoder encoder_;
  std::mutex prefix_mutex_;
  std::shared_ptr<const EncodedChunk> prefix_chunk_;
};

class PrefixContexts {
 public:
  static constexpr size_t kMaxPrefixContexts = 64;

  explicit PrefixContexts(const Runtime& runtime) : runtime_(runtime) {}

  // An empty `prefix_id` asks for the namespace's default.
  absl::StatusOr<std::shared_ptr<PrefixContext>> Get(std::string_view namespace_name, std::string_view prefix_id);

  // Renders, tokenises and registers a prefix; encodes and stores its KV. Registering the same content again is a no-op.
  absl::StatusOr<Prefix> Register(std::string_view namespace_name, const PrefixSpec& spec, bool make_default);

  const Runtime& runtime() const { return runtime_; }

 private:
  using Id = std::pair<std::string, std::string>;
  const Runtime& runtime_;
  std::mutex mutex_;
  std::list<std::pair<Id, std::shared_ptr<PrefixContext>>> contexts_;  // most recently used first
};

}  // namespace cacheclip
