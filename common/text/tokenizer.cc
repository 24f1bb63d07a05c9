#include "common/text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/text/shim/textshim.h"
#include "common/text/shim_status.h"
#include "nlohmann/json.hpp"

namespace cacheclip {

struct Tokenizer::Handle {
  ts_tokenizer* shim = nullptr;
  ~Handle() { ts_tokenizer_free(shim); }
};

Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::shared_ptr<const Tokenizer>> Tokenizer::Load(const std::string& model_dir) {
  CACHECLIP_ASSIGN_OR_RETURN(const std::string json, ReadFile(model_dir + "/tokenizer.json"));
  auto tokenizer = std::shared_ptr<Tokenizer>(new Tokenizer());
  tokenizer->handle_ = std::make_unique<Handle>();
  const int code = ts_tokenizer_from_json(json.data(), json.size(), &tokenizer->handle_->shim);
  if (code != TS_OK)
    return absl::FailedPreconditionError(
        ShimStatus(code, model_dir + "/tokenizer.json cannot be used").message());
  tokenizer->vocab_size_ = static_cast<int>(ts_tokenizer_vocab_size(tokenizer->handle_->shim));
  tokenizer->fingerprint_ = Sha256().AddBytes(json.data(), json.size()).Finish();
  CACHECLIP_RETURN_IF_ERROR(tokenizer->ReadAddedTokens());
  CACHECLIP_ASSIGN_OR_RETURN(tokenizer->special_tokens_, LoadSpecialTokens(model_dir));
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

absl::Status Tokenizer::ReadAddedTokens() {
  CACHECLIP_ASSIGN_OR_RETURN(const std::string json, ShimString("added tokens", [this](ts_buf* out) {
                               return ts_tokenizer_added_tokens(handle_->shim, out);
                             }));
  const nlohmann::json added_tokens = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  for (const nlohmann::json& token : added_tokens) {
    added_tokens_.push_back({.id = token["id"].get<int32_t>(),
                             .content = token["content"].get<std::string>(),
                             .is_control = token["control"].get<bool>(),
                             .strips_left = token["lstrip"].get<bool>(),
                             .strips_right = token["rstrip"].get<bool>()});
  }
  return absl::OkStatus();
}

absl::StatusOr<Encoding> Tokenizer::Encode(std::string_view text, SpecialTokens special_tokens,
                                           TextStart start) const {
  if (text.size() > kMaxEncodeBytes)
    return absl::ResourceExhaustedError(absl::StrCat("a text of ", text.size(), " bytes; at most ",
                                                     kMaxEncodeBytes, " are tokenised at once"));
  const int flags = (special_tokens == SpecialTokens::kAsText ? TS_CONTROL_AS_TEXT : 0) |
                    (start == TextStart::kContinuation ? TS_CONTINUATION : 0);
  ts_encoding* shim = nullptr;
  CACHECLIP_RETURN_IF_ERROR(
      ShimStatus(ts_encode(handle_->shim, text.data(), text.size(), flags, &shim), "tokenize"));
  const std::unique_ptr<ts_encoding, decltype(&ts_encoding_free)> owner(shim, ts_encoding_free);
  const size_t num_tokens = ts_encoding_len(shim);
  const uint32_t* ids = ts_encoding_ids(shim);
  const uint32_t* spans = ts_encoding_spans(shim);
  Encoding encoding;
  encoding.ids.assign(ids, ids + num_tokens);
  encoding.spans.reserve(num_tokens);
  for (size_t i = 0; i < num_tokens; ++i) encoding.spans.push_back({spans[2 * i], spans[2 * i + 1]});
  return encoding;
}

absl::StatusOr<std::string> Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  if (const auto negative = std::ranges::find_if(ids, [](int32_t id) { return id < 0; });
      negative != ids.end())
    return absl::InvalidArgumentError(absl::StrCat("token id ", *negative, " is negative"));
  const std::vector<uint32_t> unsigned_ids(ids.begin(), ids.end());
  return ShimString("detokenize", [&](ts_buf* out) {
    return ts_decode(handle_->shim, unsigned_ids.data(), unsigned_ids.size(), skip_special, out);
  });
}

std::optional<int32_t> Tokenizer::TokenToId(std::string_view token) const {
  const int64_t id = ts_tokenizer_token_to_id(handle_->shim, token.data(), token.size());
  return id < 0 ? std::nullopt : std::optional<int32_t>(static_cast<int32_t>(id));
}

absl::StatusOr<std::string> Tokenizer::IdToToken(int32_t id) const {
  ts_buf buffer{nullptr, 0, 0};
  if (id < 0 || ts_tokenizer_id_to_token(handle_->shim, static_cast<uint32_t>(id), &buffer) != TS_OK)
    return absl::NotFoundError(absl::StrCat("no token has the id ", id));
  std::string token(buffer.ptr, buffer.len);
  ts_buf_free(buffer);
  return token;
}

std::optional<int32_t> Tokenizer::IdOfSpecial(std::string_view name) const {
  const auto found = special_tokens_.find(name);
  return found == special_tokens_.end() ? std::nullopt : TokenToId(found->second);
}

struct StreamDecoder::Handle {
  ts_stream* shim = nullptr;
  ~Handle() { ts_stream_free(shim); }
};

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), handle_(std::make_unique<Handle>()) {
  ts_stream_new(tokenizer_->handle_->shim, skip_special, &handle_->shim);  // cannot fail: it only allocates
}
StreamDecoder::~StreamDecoder() = default;
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;

absl::StatusOr<std::string> StreamDecoder::Push(int32_t id) {
  if (id < 0) return absl::InvalidArgumentError(absl::StrCat("token id ", id, " is negative"));
  return ShimString("detokenize", [&](ts_buf* out) {
    return ts_stream_push(handle_->shim, static_cast<uint32_t>(id), out);
  });
}

absl::StatusOr<std::string> StreamDecoder::Flush() {
  return ShimString("detokenize", [&](ts_buf* out) { return ts_stream_flush(handle_->shim, out); });
}

absl::Status CheckUtf8(std::string_view field, std::string_view text) {
  const size_t valid = ts_utf8_valid_up_to(text.data(), text.size());
  if (valid == text.size()) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("not valid UTF-8 at byte ", valid));
}

}  // namespace cacheclip
