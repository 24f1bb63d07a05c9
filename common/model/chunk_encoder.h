// Makes a chunk's KV: runs prefix + chunk at positions 0 … and keeps the chunk's rows, keys before RoPE
// (method.md §1). Also computes the key a chunk will have, so that a caller can look it up before paying for
// it. One encoder per registered prefix; the prefix itself is run once and stays in the encoder's session.
//
//   ChunkEncoder encoder(model, {.tokenizer_fingerprint = …, .namespace_salt = …, .prefix_ids = …});
//   ChunkKey key = encoder.KeyOf(chunk_ids);
//   CACHECLIP_ASSIGN_OR_RETURN(auto chunk, encoder.Encode(chunk_ids, spans));
//
// KeyOf is thread-safe; Encode and EncodePrefix run on one thread at a time (the compute thread).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/base/token_span.h"
#include "common/kv/chunk_key.h"
#include "common/kv/encoded_chunk.h"
#include "common/model/inference_session.h"
#include "common/model/language_model.h"

namespace cacheclip {

struct ChunkEncoderOptions {
  Digest tokenizer_fingerprint{};
  std::string namespace_salt;       // from the server's configuration
  std::vector<int32_t> prefix_ids;  // the shared prefix; may be empty
  std::string writer_version;       // recorded in each chunk
  std::optional<KvDtype> kv_dtype;  // of chunks; absent: the model's own. Only int8 may differ from it
};

class ChunkEncoder {
 public:
  ChunkEncoder(std::shared_ptr<const LanguageModel> model, ChunkEncoderOptions options);
  ~ChunkEncoder();

  ChunkKey KeyOf(std::span<const int32_t> chunk_ids) const;
  ChunkKey PrefixKey() const;  // of the prefix's own KV: chunk ids = prefix ids behind nothing
  KvShape chunk_shape() const;
  std::span<const int32_t> prefix_ids() const { return options_.prefix_ids; }

  // `spans`: one per id, or empty. `created_unix_seconds` is recorded. RESOURCE_EXHAUSTED if prefix and chunk
  // together exceed the model's context length. INTERNAL if the KV is not finite and asked for as int8.
  absl::StatusOr<std::shared_ptr<const EncodedChunk>> Encode(
      std::span<const int32_t> chunk_ids, std::span<const TokenSpan> spans, int64_t created_unix_seconds,
      const CancellationToken& cancellation = CancellationToken());
  // Always in the model's own dtype: there is one copy, and every request reads it in full.
  absl::StatusOr<std::shared_ptr<const EncodedChunk>> EncodePrefix(int64_t created_unix_seconds);

 private:
  ChunkIdentity IdentityOf(const KvShape& shape, std::span<const int32_t> prefix_ids,
                           std::span<const int32_t> chunk_ids) const;
  absl::Status PreparePrefix(int32_t chunk_tokens);
  absl::StatusOr<std::shared_ptr<const EncodedChunk>> RunAndCapture(ChunkIdentity identity,
                                                                    std::span<const TokenSpan> spans,
                                                                    int64_t created_unix_seconds,
                                                                    const CancellationToken& cancellation);

  std::shared_ptr<const LanguageModel> model_;
  ChunkEncoderOptions options_;
  std::unique_ptr<InferenceSession> session_;  // holds the prefix's KV in its first slots
};

}  // namespace cacheclip
