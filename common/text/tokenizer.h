// Text to token ids and back, as Hugging Face's `tokenizers` does it. Loaded from a model directory; the work
// is done by a small Rust library (common/text/shim) behind a C interface. Nothing is ever added on encoding
// (no BOS): control tokens come from the chat template alone (common/text/prompt_layout.h).
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto tokenizer, Tokenizer::Load(model_dir));
//   CACHECLIP_ASSIGN_OR_RETURN(Encoding encoding, tokenizer->Encode(text,
//   Tokenizer::SpecialTokens::kAsText));
//
// Concurrency: a Tokenizer is immutable and used by any number of threads at once; a StreamDecoder belongs to
// one.
// Ownership: shared_ptr; a StreamDecoder keeps its tokenizer alive. Limit: kMaxEncodeBytes per call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/hash.h"
#include "common/base/token_span.h"
#include "common/text/special_tokens.h"

namespace cacheclip {

// Encode refuses longer text with RESOURCE_EXHAUSTED: memory is about 100 bytes per byte of text while it
// runs.
inline constexpr size_t kMaxEncodeBytes = size_t{4} << 20;

struct Encoding {
  std::vector<int32_t> ids;
  std::vector<TokenSpan> spans;  // one per id; UTF-8 byte offsets into the text that was encoded
};

// A token that is matched in the text before the vocabulary is applied.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  // Control tokens steer the model (<|im_end|>, <tool_call>): those marked special in tokenizer.json, and any
  // that is written as <…> or […]. Never recognised in documents and user text. Others (runs of spaces) are
  // ordinary text.
  bool is_control = false;
  bool strips_left = false, strips_right = false;  // swallows white space before / after itself
};

class Tokenizer {
 public:
  enum class SpecialTokens {
    kAsText,      // "<|im_end|>" is nine ordinary characters: for everything a user or a document wrote
    kRecognized,  // "<|im_end|>" is the control token: only for text that the operator wrote
  };
  // Some vocabularies put a space before the first word of a text. A piece that continues a prompt must not
  // get one.
  enum class TextStart { kBeginning, kContinuation };

  // Reads tokenizer.json and, where present, tokenizer_config.json and special_tokens_map.json.
  // NOT_FOUND: no tokenizer.json. FAILED_PRECONDITION: one that the library cannot read.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Load(const std::string& model_dir);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // INVALID_ARGUMENT names the byte offset at which `text` stops being UTF-8.
  absl::StatusOr<Encoding> Encode(std::string_view text, SpecialTokens special_tokens,
                                  TextStart start = TextStart::kBeginning) const;
  absl::StatusOr<std::string> Decode(std::span<const int32_t> ids, bool skip_special) const;

  std::optional<int32_t> TokenToId(std::string_view token) const;
  absl::StatusOr<std::string> IdToToken(int32_t id) const;    // NOT_FOUND: no such id
  int vocab_size() const { return vocab_size_; }              // with added tokens; a model may have more rows
  const Digest& fingerprint() const { return fingerprint_; }  // SHA-256 of the bytes of tokenizer.json
  const std::vector<AddedToken>& added_tokens() const { return added_tokens_; }  // ascending id
  const SpecialTokenMap& special_tokens() const { return special_tokens_; }      // bos_token, eos_token, …

  std::optional<int32_t> bos_id() const { return IdOfSpecial("bos_token"); }
  std::optional<int32_t> eos_id() const { return IdOfSpecial("eos_token"); }

 private:
  friend class StreamDecoder;
  struct Handle;
  Tokenizer() = default;
  std::optional<int32_t> IdOfSpecial(std::string_view name) const;
  absl::Status ReadAddedTokens();

  std::unique_ptr<Handle> handle_;
  int vocab_size_ = 0;
  Digest fingerprint_{};
  std::vector<AddedToken> added_tokens_;
  SpecialTokenMap special_tokens_;
};

// Incremental decoding: text appears as soon as it is certain, never half a character. One generation, one
// thread.
class StreamDecoder {
 public:
  StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special);
  ~StreamDecoder();
  StreamDecoder(StreamDecoder&&) noexcept;

  absl::StatusOr<std::string> Push(int32_t id);  // the text that became certain; may be empty
  absl::StatusOr<std::string> Flush();  // what is held back; broken bytes become U+FFFD. Ready for reuse.

 private:
  struct Handle;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<Handle> handle_;
};

// OK, or InvalidField(field, "not valid UTF-8 at byte N"). For requests and documents, before anything else
// is done.
absl::Status CheckUtf8(std::string_view field, std::string_view text);

}  // namespace cacheclip
