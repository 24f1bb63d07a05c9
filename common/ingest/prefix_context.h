// A registered prefix made ready for work: its ids, the layout of prompts behind it, and the encoder that
// keys and encodes chunks behind it. PrefixContexts keeps one per (namespace, prefix) and checks that the
// prefix was registered for the model and tokenizer now loaded (FAILED_PRECONDITION otherwise, naming both
// fingerprints). A prefix in use goes on working while the catalogue is down. The methods that compute hand
// their work to the executor: never call them from inside one of its tasks. Thread-safe. At most
// kMaxPrefixContexts are kept (LRU).
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/serial_executor.h"
#include "common/catalog/catalog.h"
#include "common/kv/kv_shape.h"
#include "common/model/chunk_encoder.h"
#include "common/store/chunk_store.h"
#include "common/text/prompt_layout.h"
#include "common/text/sentence_breaks.h"

namespace cacheclip {

// What ingestion and generation share: one model, its text side, the stores, the compute thread. Owned by
// main.
struct Runtime {
  std::shared_ptr<const LanguageModel> model;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const PromptLayout> layout;
  std::shared_ptr<const SentenceBreaks> sentences;
  Catalog* catalog = nullptr;
  ChunkStore* store = nullptr;
  SerialExecutor* executor = nullptr;
  Clock* clock = RealClock();
  std::map<std::string, std::string, std::less<>>
      namespace_salts;  // from configuration; absent = default_salt
  std::string default_salt;
  std::string writer_version;
  std::optional<KvDtype> kv_dtype;  // of stored chunks; absent: the model's own. Only int8 may differ from it

  KvShape chunk_shape() const;
  const std::string& SaltOf(std::string_view namespace_name) const;
};

PrefixSpec SpecOf(const Prefix& record);

// A prefix as the catalogue keeps it, made from what is loaded. Its id is a short hex digest over the texts,
// the token ids (so the template's date counts only where it shows) and both fingerprints. INVALID_ARGUMENT
// names the field.
absl::StatusOr<Prefix> MakePrefix(const Runtime& runtime, std::string_view namespace_name,
                                  const PrefixSpec& spec);

class PrefixContext {
 public:
  PrefixContext(const Runtime& runtime, Prefix record);

  const Prefix& record() const { return record_; }
  const PrefixSpec& spec() const { return spec_; }
  std::span<const int32_t> ids() const { return record_.token_ids; }

  absl::StatusOr<Encoding> TokenizeChunk(std::string_view text, std::string_view title) const;
  ChunkKey KeyOf(std::span<const int32_t> chunk_ids) const { return encoder_.KeyOf(chunk_ids); }

  // Encodes behind the prefix, alone: the same KV a hit would give. Blocks until the compute thread has done
  // it.
  absl::StatusOr<std::shared_ptr<const EncodedChunk>> Encode(const Encoding& chunk, TaskPriority priority,
                                                             const CancellationToken& cancellation);
  // The prefix's own KV: kept from an earlier call, or from the store until `deadline`, or computed. What a
  // background caller computed is stored (a store that fails is logged, not an error); an interactive one
  // does not wait for that. Null for an empty prefix.
  absl::StatusOr<StoreHit> PrefixChunk(TaskPriority priority, absl::Time deadline = absl::InfiniteFuture());

  // The steps of it, for callers that load it beside other chunks.
  ChunkKey PrefixKey() const { return encoder_.PrefixKey(); }
  std::shared_ptr<const EncodedChunk> kept_prefix() const;  // null: not known yet
  void KeepPrefix(std::shared_ptr<const EncodedChunk> chunk);
  absl::StatusOr<std::shared_ptr<const EncodedChunk>> EncodePrefix(TaskPriority priority);

  const Runtime& runtime() const { return runtime_; }

 private:
  void EnsureKept(const ChunkKey& key);

  const Runtime& runtime_;
  const Prefix record_;
  const PrefixSpec spec_;
  ChunkEncoder encoder_;
  mutable std::mutex prefix_mutex_;  // a leaf: never held while loading or computing
  std::shared_ptr<const EncodedChunk> prefix_chunk_;
};

class PrefixContexts {
 public:
  static constexpr size_t kMaxPrefixContexts = 64;

  explicit PrefixContexts(const Runtime& runtime) : runtime_(runtime) {}

  // An empty `prefix_id` asks for the namespace's default (the last one known, while the catalogue is down).
  absl::StatusOr<std::shared_ptr<PrefixContext>> Get(std::string_view namespace_name,
                                                     std::string_view prefix_id);

  // The context of a prefix that this runtime's catalogue need not know: an auxiliary model's twin of a
  // primary's prefix.
  absl::StatusOr<std::shared_ptr<PrefixContext>> GetForSpec(std::string_view namespace_name,
                                                            const PrefixSpec& spec);

  // Renders, tokenises and registers a prefix (and its namespace); encodes and stores its KV. Registering the
  // same content again is a no-op. An unset `spec.template_time` means the time this content was registered
  // with, else now.
  absl::StatusOr<Prefix> Register(std::string_view namespace_name, const PrefixSpec& spec, bool make_default);

  const Runtime& runtime() const { return runtime_; }

 private:
  using Id = std::pair<std::string, std::string>;
  std::shared_ptr<PrefixContext> Find(const Id& id);                 // null if not kept
  std::shared_ptr<PrefixContext> Keep(const Id& id, Prefix record);  // the one kept already, if there is one
  absl::StatusOr<std::string> DefaultPrefixId(std::string_view namespace_name);
  absl::StatusOr<PrefixSpec> WithTemplateTime(std::string_view namespace_name, PrefixSpec spec);

  const Runtime& runtime_;
  std::mutex mutex_;
  std::map<std::string, std::string, std::less<>>
      default_ids_;  // namespace -> default prefix when last asked
  std::list<std::pair<Id, std::shared_ptr<PrefixContext>>> contexts_;  // most recently used first
};

}  // namespace cacheclip
