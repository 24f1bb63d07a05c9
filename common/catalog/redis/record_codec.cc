#include "common/catalog/redis/record_codec.h"

#include <cstring>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;  // flipped, so that digits order like signed numbers
constexpr size_t kKeyBytes = 32;
constexpr size_t kUseBytes = kKeyBytes + 2 * sizeof(int64_t);

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(
      absl::StrCat("a ", AbslView(what), " of the catalogue on Redis is damaged or of another layout"));
}

// Fields one after another: text with its length before it, integers in 8 bytes, little endian.
class Writer {
 public:
  Writer& Text(std::string_view text) {
    Integer(static_cast<int64_t>(text.size()));
    bytes_.append(text);
    return *this;
  }
  Writer& Integer(int64_t value) {
    char bytes[sizeof(value)];
    std::memcpy(bytes, &value, sizeof(value));
    bytes_.append(bytes, sizeof(value));
    return *this;
  }
  std::string Finish() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  std::string Text() {
    const int64_t size = Integer();
    if (size < 0 || static_cast<uint64_t>(size) > bytes_.size()) return Fail(), "";
    std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }
  int64_t Integer() {
    int64_t value = 0;
    if (bytes_.size() < sizeof(value)) return Fail(), 0;
    std::memcpy(&value, bytes_.data(), sizeof(value));
    bytes_.remove_prefix(sizeof(value));
    return value;
  }
  bool finished() const { return sound_ && bytes_.empty(); }

 private:
  void Fail() {
    sound_ = false;
    bytes_ = {};
  }
  std::string_view bytes_;
  bool sound_ = true;
};

}  // namespace

std::string EncodeTime(absl::Time time) {
  return absl::StrCat(
      absl::Hex(static_cast<uint64_t>(absl::ToUnixMicros(time)) ^ kSignBit, absl::kZeroPad16));
}

absl::StatusOr<absl::Time> DecodeTime(std::string_view digits) {
  uint64_t bits = 0;
  if (digits.size() != kTimeDigits || !absl::SimpleHexAtoi(AbslView(digits), &bits)) return Damaged("time");
  const auto micros = static_cast<int64_t>(bits ^ kSignBit);
  if (micros == std::numeric_limits<int64_t>::max()) return absl::InfiniteFuture();
  if (micros == std::numeric_limits<int64_t>::min()) return absl::InfinitePast();
  return absl::FromUnixMicros(micros);
}

absl::Time NextMoment(absl::Time time) { return time + absl::Microseconds(1); }

std::string EncodeCount(size_t count) { return absl::StrCat(absl::Hex(count, absl::kZeroPad8)); }

std::string PackDocumentBody(const Document& document) {
  return Writer()
      .Text(document.title)
      .Text(document.content_digest)
      .Text(document.metadata_json)
      .Text(document.prefix_id)
      .Text(document.writer_version)
      .Finish();
}

absl::StatusOr<StoredDocument> UnpackDocument(std::string_view namespace_name, std::string_view document_id,
                                              std::string_view record) {
  if (record.size() < kDocumentHeadDigits) return Damaged("document");
  const auto time_at = [&](size_t index) {
    return DecodeTime(record.substr(kRevisionDigits + index * kTimeDigits, kTimeDigits));
  };
  StoredDocument stored;
  Document& document = stored.document;
  stored.revision = record.substr(0, kRevisionDigits);
  CACHECLIP_ASSIGN_OR_RETURN(document.expire_time, time_at(0));
  CACHECLIP_ASSIGN_OR_RETURN(document.created_time, time_at(1));
  CACHECLIP_ASSIGN_OR_RETURN(document.updated_time, time_at(2));
  uint64_t num_uses = 0;
  const std::string_view count = record.substr(kDocumentHeadDigits - kCountDigits, kCountDigits);
  if (!absl::SimpleHexAtoi(AbslView(count), &num_uses) || num_uses > kMaxChunksPerDocument)
    return Damaged("document");
  stored.num_uses = num_uses;
  document.namespace_name = namespace_name;
  document.document_id = document_id;
  Reader reader(record.substr(kDocumentHeadDigits));
  document.title = reader.Text();
  document.content_digest = reader.Text();
  document.metadata_json = reader.Text();
  document.prefix_id = reader.Text();
  document.writer_version = reader.Text();
  if (!reader.finished()) return Damaged("document");
  return stored;
}

std::string PackUses(std::span<const ChunkReference> uses) {
  std::string batch(uses.size() * kUseBytes, '\0');
  char* out = batch.data();
  for (const ChunkReference& use : uses) {
    FromHex(use.chunk_id, {reinterpret_cast<uint8_t*>(out), kKeyBytes});
    std::memcpy(out + kKeyBytes, &use.begin_byte, sizeof(int64_t));
    std::memcpy(out + kKeyBytes + sizeof(int64_t), &use.end_byte, sizeof(int64_t));
    out += kUseBytes;
  }
  return batch;
}

absl::Status UnpackUses(std::string_view batch, std::vector<ChunkReference>& uses) {
  if (batch.size() % kUseBytes != 0) return Damaged("list of chunks");
  for (; !batch.empty(); batch.remove_prefix(kUseBytes)) {
    ChunkReference& use = uses.emplace_back();
    use.chunk_id = ToHex({reinterpret_cast<const uint8_t*>(batch.data()), kKeyBytes});
    std::memcpy(&use.begin_byte, batch.data() + kKeyBytes, sizeof(int64_t));
    std::memcpy(&use.end_byte, batch.data() + kKeyBytes + sizeof(int64_t), sizeof(int64_t));
  }
  return absl::OkStatus();
}

std::string PackChunk(const ChunkRecord& chunk) {
  return Writer().Integer(chunk.num_tokens).Text(chunk.prefix_id).Text(chunk.title).Text(chunk.text).Finish();
}

absl::StatusOr<ChunkRecord> UnpackChunk(std::string_view namespace_name, std::string_view chunk_id,
                                        std::string_view record) {
  Reader reader(record);
  ChunkRecord chunk{.namespace_name = std::string(namespace_name), .chunk_id = std::string(chunk_id)};
  chunk.num_tokens = static_cast<int32_t>(reader.Integer());
  chunk.prefix_id = reader.Text();
  chunk.title = reader.Text();
  chunk.text = reader.Text();
  if (!reader.finished()) return Damaged("chunk's record");
  return chunk;
}

std::string PackPrefix(const Prefix& prefix) {
  const std::string_view ids(reinterpret_cast<const char*>(prefix.token_ids.data()),
                             prefix.token_ids.size() * sizeof(int32_t));
  return Writer()
      .Text(prefix.system_prompt)
      .Text(prefix.instruction)
      .Text(prefix.placement)
      .Text(prefix.separator)
      .Integer(absl::ToUnixSeconds(prefix.template_time))
      .Text(prefix.model_fingerprint)
      .Text(prefix.tokenizer_fingerprint)
      .Text(ids)
      .Finish();
}

absl::StatusOr<Prefix> UnpackPrefix(std::string_view namespace_name, std::string_view prefix_id,
                                    std::string_view record) {
  Reader reader(record);
  Prefix prefix{.namespace_name = std::string(namespace_name), .prefix_id = std::string(prefix_id)};
  prefix.system_prompt = reader.Text();
  prefix.instruction = reader.Text();
  prefix.placement = reader.Text();
  prefix.separator = reader.Text();
  prefix.template_time = absl::FromUnixSeconds(reader.Integer());
  prefix.model_fingerprint = reader.Text();
  prefix.tokenizer_fingerprint = reader.Text();
  const std::string ids = reader.Text();
  if (!reader.finished() || ids.size() % sizeof(int32_t) != 0) return Damaged("prefix");
  prefix.token_ids.resize(ids.size() / sizeof(int32_t));
  std::memcpy(prefix.token_ids.data(), ids.data(), ids.size());
  return prefix;
}

}  // namespace cacheclip
