// The half of RedisChunkStore that changes what Redis holds.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/kv/chunk_format.h"
#include "common/store/redis/chunk_keys.h"
#include "common/store/redis/redis_chunk_store.h"

namespace cacheclip {
namespace {

// How long slices live that no header makes visible: what a writer that died leaves behind.
constexpr absl::Duration kUnpublishedTtl = absl::Minutes(10);
// A Delete() of the same chunk, or an eviction, may take slices from under the writer.
constexpr int kMaxPutAttempts = 4;
constexpr size_t kMaxRememberedKeys = 1 << 16;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string_view Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

absl::Status RedisChunkStore::Put(std::shared_ptr<const EncodedChunk> chunk) {
  const RedisCallOptions call = CallOptions();
  CACHECLIP_ASSIGN_OR_RETURN(const bool is_present, RenewIfPresent(chunk->key(), call));
  if (is_present) return absl::OkStatus();
  absl::Status status;
  for (int attempt = 0; attempt < kMaxPutAttempts; ++attempt) {
    status = WriteSlices(*chunk, call);
    if (status.ok()) status = Publish(*chunk, call);
    if (!absl::IsAborted(status)) break;
  }
  if (absl::IsAborted(status)) status = absl::ResourceExhaustedError(status.message());
  if (absl::IsResourceExhausted(status)) {
    ++counters_.rejected_puts;
    Discard(chunk->key(), Text(chunk->header_bytes()), call);
  }
  return status;
}

absl::StatusOr<bool> RedisChunkStore::RenewIfPresent(const ChunkKey& key, const RedisCallOptions& options) {
  const auto header = ReadHeader(key, options);
  if (absl::IsNotFound(header.status())) return false;
  CACHECLIP_RETURN_IF_ERROR(header.status());
  const auto preamble = ParseChunkPreamble(Bytes(*header));
  if (!preamble.ok() || preamble->header.key != key) {
    Judge(key, *header, absl::DataLossError("damaged header"), {.deadline = options.deadline}).IgnoreError();
    return false;
  }
  const std::vector<std::string> keys = AllRedisKeys(key, Bytes(*header), preamble->slices.size());
  CACHECLIP_ASSIGN_OR_RETURN(const ScriptOutcome outcome,
                             scripts_.Touch(keys, RedisHeaderTail(Bytes(*header)), options));
  if (outcome == ScriptOutcome::kHalf) {
    ++counters_.evictions;
    Discard(key, *header, options);
  }
  return outcome == ScriptOutcome::kDone;
}

absl::Status RedisChunkStore::WriteSlices(const EncodedChunk& chunk, const RedisCallOptions& options) {
  const absl::Duration ttl = std::min(options_.ttl, kUnpublishedTtl) + ChunkScripts::kSliceSlack;
  const std::string milliseconds = absl::StrCat(absl::ToInt64Milliseconds(ttl));
  std::vector<RedisCommand> commands(chunk.slices().size());
  for (size_t i = 0; i < commands.size(); ++i)
    commands[i] = {.args = {"PSETEX", RedisSliceKey(chunk.key(), chunk.header_bytes(), i), milliseconds},
                   .payload = Text(chunk.SliceBytes(chunk.slices()[i]))};
  absl::Status failure;
  int step = 0;
  client_->Stream(commands, options, [&](size_t, const absl::StatusOr<RedisReply>& reply) {
    failure = reply.status();
    if (options_.on_put_step) options_.on_put_step(step++);
    return failure.ok();
  });
  return failure;
}

absl::Status RedisChunkStore::Publish(const EncodedChunk& chunk, const RedisCallOptions& options) {
  const std::string_view header = Text(chunk.header_bytes());
  const std::vector<std::string> keys =
      AllRedisKeys(chunk.key(), chunk.header_bytes(), chunk.slices().size());
  CACHECLIP_ASSIGN_OR_RETURN(const ScriptOutcome outcome, scripts_.Publish(keys, header, options));
  if (options_.on_put_step) options_.on_put_step(static_cast<int>(chunk.slices().size()));
  switch (outcome) {
    case ScriptOutcome::kDone:
      ++counters_.puts;
      IsDueForRenewal(chunk.key());  // it has just been renewed
      return absl::OkStatus();
    case ScriptOutcome::kPresent: {  // another writer was faster; slices of another version are of no use
      const auto visible = ReadHeader(chunk.key(), options);
      if (visible.ok() && RedisHeaderTail(Bytes(*visible)) != RedisHeaderTail(chunk.header_bytes()))
        Discard(chunk.key(), header, options);
      return absl::OkStatus();
    }
    default:
      return absl::AbortedError("Redis lost slices of the chunk while it was being written");
  }
}

void RedisChunkStore::Discard(const ChunkKey& key, std::string_view header, const RedisCallOptions& options) {
  const auto preamble = ParseChunkPreamble(Bytes(header));
  if (!preamble.ok()) return;  // nobody knows the slices' names; their TTL ends them
  const std::vector<std::string> keys = AllRedisKeys(key, Bytes(header), preamble->slices.size());
  scripts_.Discard(keys, RedisHeaderTail(Bytes(header)), options).IgnoreError();  // else their TTL ends them
}

absl::Status RedisChunkStore::Delete(const ChunkKey& key) {
  const RedisCallOptions call = CallOptions();
  CACHECLIP_ASSIGN_OR_RETURN(const std::string header, scripts_.Hide(key, "", call));
  {
    std::lock_guard lock(mutex_);
    renewed_.erase(key);
  }
  if (!header.empty()) Discard(key, header, call);
  return absl::OkStatus();
}

absl::StatusOr<ScriptOutcome> RedisChunkStore::WithKeys(const ChunkKey& key, const RedisCallOptions& options,
                                                        const PinCall& call) {
  const auto header = ReadHeader(key, options);
  if (absl::IsNotFound(header.status())) return ScriptOutcome::kAbsent;
  CACHECLIP_RETURN_IF_ERROR(header.status());
  const auto preamble = ParseChunkPreamble(Bytes(*header));
  if (!preamble.ok()) return ScriptOutcome::kAbsent;  // the next Get() deletes it
  CACHECLIP_ASSIGN_OR_RETURN(
      const ScriptOutcome outcome,
      call(AllRedisKeys(key, Bytes(*header), preamble->slices.size()), RedisHeaderTail(Bytes(*header))));
  if (outcome == ScriptOutcome::kHalf) {
    ++counters_.evictions;
    Discard(key, *header, options);
  }
  return outcome;
}

absl::Status RedisChunkStore::Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) {
  const absl::Time now = options_.clock->Now();
  CACHECLIP_RETURN_IF_ERROR(ValidatePin(owner, expiry, now));
  const RedisCallOptions call = CallOptions();
  CACHECLIP_ASSIGN_OR_RETURN(const ScriptOutcome outcome,
                             WithKeys(key, call, [&](const auto& keys, auto tail) {
                               return scripts_.Pin(keys, tail, owner, expiry - now, call);
                             }));
  if (outcome == ScriptOutcome::kDone) return absl::OkStatus();
  if (outcome == ScriptOutcome::kFull)
    return absl::ResourceExhaustedError(
        absl::StrCat("chunk ", key.ToHex(), " is pinned by ", kMaxPinsPerChunk, " owners already"));
  return absl::NotFoundError(absl::StrCat("chunk ", key.ToHex(), " is not in Redis"));
}

absl::Status RedisChunkStore::Unpin(const ChunkKey& key, std::string_view owner) {
  const RedisCallOptions call = CallOptions();
  return WithKeys(key, call,
                  [&](const auto& keys, auto tail) { return scripts_.Unpin(keys, tail, owner, call); })
      .status();
}

bool RedisChunkStore::IsDueForRenewal(const ChunkKey& key) {
  const absl::Time now = options_.clock->Now();
  const absl::Duration interval = std::min(options_.refresh_interval, options_.ttl / 8);
  std::lock_guard lock(mutex_);
  if (const auto found = renewed_.find(key); found != renewed_.end() && now - found->second < interval)
    return false;
  if (renewed_.size() >= kMaxRememberedKeys) renewed_.clear();  // each is renewed once more, no harm
  renewed_[key] = now;
  return true;
}

}  // namespace cacheclip
