#include "common/store/redis/chunk_scripts.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/store/chunk_store.h"

namespace cacheclip {
namespace {

// KEYS: header, pins, slices. ARGV[1]: TTL, ARGV[2]: slack, both in milliseconds; ARGV[3]: header or its
// tail.
constexpr char kCommon[] = R"lua(
local header, pins = KEYS[1], KEYS[2]
local function is_same() return redis.call('GETRANGE', header, -8, -1) == ARGV[3] end
local function number(n) return string.format('%.0f', n) end
-- Sets the expiry of everything; false, and the header gone, when a slice is missing.
local function settle()
  local ttl = math.max(tonumber(ARGV[1]), redis.call('PTTL', pins))
  for i = 3, #KEYS do
    if redis.call('PEXPIRE', KEYS[i], number(ttl + tonumber(ARGV[2]))) == 0 then
      redis.call('DEL', header)
      return false
    end
  end
  redis.call('PEXPIRE', header, number(ttl))
  return true
end
)lua";

constexpr char kPublish[] = R"lua(
if redis.call('EXISTS', header) == 1 then
  -- Of the same version, so its slices are those just written, with the short TTL of unpublished ones.
  local is_same_version = redis.call('GETRANGE', header, -8, -1) == string.sub(ARGV[3], -8)
  if is_same_version and not settle() then return 'HALF' end
  return 'PRESENT'
end
redis.call('SET', header, ARGV[3])
if settle() then return 'DONE' end
return 'HALF'
)lua";

constexpr char kTouch[] = R"lua(
if not is_same() then return 'ABSENT' end
if settle() then return 'DONE' end
return 'HALF'
)lua";

// ARGV[4]: owner, ARGV[5]: milliseconds, 0 to unpin; ARGV[6]: the most owners.
constexpr char kPin[] = R"lua(
if not is_same() then return 'ABSENT' end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local owners, last = 0, 0
local entries = redis.call('HGETALL', pins)
for i = 1, #entries, 2 do
  local expiry = tonumber(entries[i + 1])
  if expiry <= now or entries[i] == ARGV[4] then
    redis.call('HDEL', pins, entries[i])
  else
    owners = owners + 1
    last = math.max(last, expiry)
  end
end
local duration = tonumber(ARGV[5])
if duration > 0 then
  if owners >= tonumber(ARGV[6]) then return 'FULL' end
  redis.call('HSET', pins, ARGV[4], number(now + duration))
  last = math.max(last, now + duration)
end
if last > 0 then redis.call('PEXPIRE', pins, number(last - now)) end
if settle() then return 'DONE' end
return 'HALF'
)lua";

constexpr char kDiscard[] = R"lua(
if is_same() then return 'PRESENT' end
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 'DONE'
)lua";

// KEYS: header, pins. ARGV[1]: the tail it must have, or nothing.
constexpr char kHide[] = R"lua(
local value = redis.call('GET', KEYS[1])
if not value then
  if ARGV[1] == '' then redis.call('DEL', KEYS[2]) end
  return ''
end
if ARGV[1] == '' then
  redis.call('DEL', KEYS[1], KEYS[2])
elseif string.sub(value, -8) == ARGV[1] then
  redis.call('DEL', KEYS[1])
else
  return ''
end
return value
)lua";

constexpr std::pair<std::string_view, ScriptOutcome> kOutcomes[] = {{"DONE", ScriptOutcome::kDone},
                                                                    {"ABSENT", ScriptOutcome::kAbsent},
                                                                    {"PRESENT", ScriptOutcome::kPresent},
                                                                    {"HALF", ScriptOutcome::kHalf},
                                                                    {"FULL", ScriptOutcome::kFull}};

RedisScript WithCommon(const char* body) { return RedisScript(absl::StrCat(kCommon, body)); }

std::string Milliseconds(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Milliseconds(absl::Ceil(duration, absl::Milliseconds(1))));
}

}  // namespace

absl::StatusOr<ScriptOutcome> ChunkScripts::Run(const RedisScript& script,
                                                const std::vector<std::string>& keys,
                                                std::vector<std::string> args,
                                                const RedisCallOptions& options) {
  args.insert(args.begin(), {Milliseconds(ttl_), Milliseconds(kSliceSlack)});
  CACHECLIP_ASSIGN_OR_RETURN(RedisReply reply, client_->RunScript(script, keys, args, options));
  for (const auto& [word, outcome] : kOutcomes)
    if (reply.text == word) return outcome;
  return absl::InternalError("a script of the Redis tier returned something else than an outcome");
}

absl::StatusOr<ScriptOutcome> ChunkScripts::Publish(const std::vector<std::string>& keys,
                                                    std::string_view header,
                                                    const RedisCallOptions& options) {
  static const RedisScript script = WithCommon(kPublish);
  return Run(script, keys, {std::string(header)}, options);
}

absl::StatusOr<ScriptOutcome> ChunkScripts::Touch(const std::vector<std::string>& keys, std::string_view tail,
                                                  const RedisCallOptions& options) {
  static const RedisScript script = WithCommon(kTouch);
  return Run(script, keys, {std::string(tail)}, options);
}

absl::StatusOr<ScriptOutcome> ChunkScripts::Pin(const std::vector<std::string>& keys, std::string_view tail,
                                                std::string_view owner, absl::Duration duration,
                                                const RedisCallOptions& options) {
  static const RedisScript script = WithCommon(kPin);
  return Run(
      script, keys,
      {std::string(tail), std::string(owner), Milliseconds(duration), std::to_string(kMaxPinsPerChunk)},
      options);
}

absl::StatusOr<ScriptOutcome> ChunkScripts::Unpin(const std::vector<std::string>& keys, std::string_view tail,
                                                  std::string_view owner, const RedisCallOptions& options) {
  return Pin(keys, tail, owner, absl::ZeroDuration(), options);
}

absl::StatusOr<ScriptOutcome> ChunkScripts::Discard(const std::vector<std::string>& keys,
                                                    std::string_view tail, const RedisCallOptions& options) {
  static const RedisScript script = WithCommon(kDiscard);
  return Run(script, keys, {std::string(tail)}, options);
}

absl::StatusOr<std::string> ChunkScripts::Hide(const ChunkKey& key, std::string_view tail,
                                               const RedisCallOptions& options) {
  static const RedisScript script{kHide};
  const std::vector<std::string> keys = {RedisHeaderKey(key), RedisPinsKey(key)};
  const std::vector<std::string> args = {std::string(tail)};
  CACHECLIP_ASSIGN_OR_RETURN(RedisReply reply, client_->RunScript(script, keys, args, options));
  return std::move(reply.text);
}

}  // namespace cacheclip
