// The only file that knows hiredis.
#include "common/redis/reply_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <hiredis/hiredis.h>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr size_t kScratchBytes = 16 << 10;
constexpr size_t kMaxLengthLineBytes = 24;  // "$" and the decimal digits of a 64-bit length

RedisReply Convert(const redisReply& from) {
  RedisReply to;
  switch (from.type) {
    case REDIS_REPLY_NIL:
      break;
    case REDIS_REPLY_INTEGER:
      to.type = RedisReply::Type::kInteger;
      to.integer = from.integer;
      break;
    case REDIS_REPLY_ARRAY:
      to.type = RedisReply::Type::kArray;
      to.elements.reserve(from.elements);
      for (size_t i = 0; i < from.elements; ++i) to.elements.push_back(Convert(*from.element[i]));
      break;
    default:
      to.type = from.type == REDIS_REPLY_ERROR    ? RedisReply::Type::kError
                : from.type == REDIS_REPLY_STATUS ? RedisReply::Type::kStatus
                                                  : RedisReply::Type::kString;
      to.text.assign(from.str, from.len);
  }
  return to;
}

RedisReply SinkReply(size_t num_bytes) {
  RedisReply reply;
  reply.type = RedisReply::Type::kString;
  reply.sink_bytes = static_cast<int64_t>(num_bytes);
  return reply;
}

}  // namespace

ReplyReader::ReplyReader() : reader_(redisReaderCreate(), redisReaderFree), scratch_(kScratchBytes) {}
ReplyReader::~ReplyReader() = default;

std::span<std::byte> ReplyReader::Space() {
  if (bulk_filled_ < bulk_.size()) return bulk_.subspan(bulk_filled_);
  if (begin_ > 0) {  // at most half a length line is left over
    std::memmove(scratch_.data(), scratch_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return std::as_writable_bytes(std::span(scratch_)).subspan(end_);
}

void ReplyReader::Commit(size_t num_bytes) {
  if (bulk_filled_ < bulk_.size()) {
    bulk_filled_ += num_bytes;
  } else {
    end_ += num_bytes;
  }
}

void ReplyReader::Consume(size_t num_bytes) {
  begin_ += num_bytes;
  if (begin_ == end_) begin_ = end_ = 0;
}

absl::StatusOr<std::optional<RedisReply>> ReplyReader::Next(std::span<std::byte> sink) {
  if (!bulk_.empty()) return FinishBulk();
  if (fed_bytes_ == 0 && !sink.empty()) {
    switch (StartBulk(sink)) {
      case BulkStart::kStarted:
        return FinishBulk();
      case BulkStart::kNeedsMore:
        return std::nullopt;
      case BulkStart::kIsOther:
        break;
    }
  }
  return Parse(sink);
}

ReplyReader::BulkStart ReplyReader::StartBulk(std::span<std::byte> sink) {
  const std::string_view bytes = unread();
  if (bytes.empty()) return BulkStart::kNeedsMore;
  if (bytes[0] != '$') return BulkStart::kIsOther;
  const size_t line_end = bytes.substr(0, kMaxLengthLineBytes).find("\r\n");
  if (line_end == std::string_view::npos)
    return bytes.size() < kMaxLengthLineBytes ? BulkStart::kNeedsMore : BulkStart::kIsOther;
  int64_t length = 0;
  if (!absl::SimpleAtoi(AbslView(bytes.substr(1, line_end - 1)), &length) ||
      length != static_cast<int64_t>(sink.size()))
    return BulkStart::kIsOther;
  Consume(line_end + 2);
  const std::string_view payload = unread().substr(0, sink.size());
  std::memcpy(sink.data(), payload.data(), payload.size());
  bulk_ = sink;
  bulk_filled_ = payload.size();
  Consume(payload.size());
  return BulkStart::kStarted;
}

absl::StatusOr<std::optional<RedisReply>> ReplyReader::FinishBulk() {
  if (bulk_filled_ < bulk_.size() || unread().size() < 2) return std::nullopt;
  if (!unread().starts_with("\r\n")) return absl::InternalError("a bulk reply does not end where it should");
  Consume(2);
  RedisReply reply = SinkReply(bulk_.size());
  bulk_ = {};
  bulk_filled_ = 0;
  return reply;
}

absl::StatusOr<std::optional<RedisReply>> ReplyReader::Parse(std::span<std::byte> sink) {
  if (const std::string_view bytes = unread(); !bytes.empty()) {
    if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK)
      return absl::ResourceExhaustedError("no memory for a reply of Redis");
    fed_bytes_ += static_cast<int64_t>(bytes.size());
    Consume(bytes.size());
  }
  if (fed_bytes_ == 0) return std::nullopt;
  void* result = nullptr;
  if (redisReaderGetReply(reader_.get(), &result) != REDIS_OK)
    return absl::InternalError(absl::StrCat("not the Redis protocol: ", reader_->errstr));
  if (result == nullptr) {
    if (fed_bytes_ > kMaxBufferedReplyBytes)
      return absl::ResourceExhaustedError(
          absl::StrCat("a reply of Redis is larger than ", kMaxBufferedReplyBytes, " bytes"));
    return std::nullopt;
  }
  const std::unique_ptr<void, void (*)(void*)> owner(result, freeReplyObject);
  fed_bytes_ = static_cast<int64_t>(reader_->len - reader_->pos);
  const redisReply& parsed = *static_cast<const redisReply*>(result);
  if (parsed.type == REDIS_REPLY_STRING && !sink.empty() && parsed.len == sink.size()) {
    std::memcpy(sink.data(), parsed.str, parsed.len);
    return SinkReply(parsed.len);
  }
  return Convert(parsed);
}

std::string FormatRedisCommand(const RedisCommand& command) {
  const bool has_payload = command.payload.data() != nullptr;
  std::string wire = absl::StrCat("*", command.args.size() + (has_payload ? 1 : 0), "\r\n");
  for (const std::string& arg : command.args) absl::StrAppend(&wire, "$", arg.size(), "\r\n", arg, "\r\n");
  if (has_payload) absl::StrAppend(&wire, "$", command.payload.size(), "\r\n");
  return wire;
}

}  // namespace cacheclip
