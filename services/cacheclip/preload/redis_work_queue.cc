#include "services/cacheclip/preload/redis_work_queue.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr size_t kMaxJobNameBytes = 128;
constexpr size_t kMaxReasonBytes = 500;
constexpr char kOtherJob[] = "OTHERJOB";

// KEYS everywhere: state, leases, failures. The last ARGVs are the job's identity and the keys' time to live
// in milliseconds.
constexpr char kTouch[] = R"(
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[#ARGV]) end
)";
// A worker must not take numbers of another job's documents for those of its own.
constexpr char kCheckIdentity[] = R"(
  if redis.call('HGET', KEYS[1], 'identity') ~= ARGV[#ARGV - 1] then
    return redis.error_reply('OTHERJOB the job is another one')
  end
)";
constexpr char kNow[] = R"(
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
)";

// ARGV: total, '1' to start anew. What failed in an earlier run is due again. A job of another identity that
// is over gives way.
const RedisScript& OpenScript() {
  static const auto* script = new RedisScript(absl::StrCat(R"(
  if ARGV[2] == '1' then redis.call('DEL', unpack(KEYS)) end
  local wanted = ARGV[#ARGV - 1]
  local old = redis.call('HMGET', KEYS[1], 'identity', 'next', 'total')
  if old[1] and old[1] ~= wanted then
    if tonumber(old[2] or 0) < tonumber(old[3] or 0) or redis.call('ZCARD', KEYS[2]) > 0 then
      return redis.error_reply('OTHERJOB the job is another one')
    end
    redis.call('DEL', unpack(KEYS))
  end
  if old[1] ~= wanted then
    redis.call('HSET', KEYS[1], 'identity', wanted, 'total', ARGV[1], 'next', 0, 'done', 0, 'failed', 0)
  end
  for _, item in ipairs(redis.call('HKEYS', KEYS[3])) do
    redis.call('ZADD', KEYS[2], 0, item)
    redis.call('HINCRBY', KEYS[1], 'failed', -1)
  end
  redis.call('DEL', KEYS[3])
)",
                                                           kTouch, "return 1"));
  return *script;
}

// ARGV: lease in milliseconds. Returns the item, -1 = wait, -2 = finished.
const RedisScript& NextScript() {
  static const auto* script = new RedisScript(absl::StrCat(kCheckIdentity, kNow, R"(
  local item = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1)[1]
  if not item then
    local next = tonumber(redis.call('HGET', KEYS[1], 'next') or 0)
    if next >= tonumber(redis.call('HGET', KEYS[1], 'total') or 0) then
      return redis.call('ZCARD', KEYS[2]) > 0 and -1 or -2
    end
    redis.call('HSET', KEYS[1], 'next', next + 1)
    item = next
  end
  redis.call('ZADD', KEYS[2], now + ARGV[1], item)
)",
                                                           kTouch, "return tonumber(item)"));
  return *script;
}

// ARGV: item, lease in milliseconds.
const RedisScript& LeaseScript() {
  static const auto* script = new RedisScript(absl::StrCat(kCheckIdentity, kNow, R"(
  redis.call('ZADD', KEYS[2], 'XX', now + ARGV[2], ARGV[1])
)",
                                                           kTouch, "return 1"));
  return *script;
}

// ARGV: item, reason ('' = it went well), how many reasons are kept. An item that somebody else has finished
// meanwhile is not counted twice.
const RedisScript& FinishScript() {
  static const auto* script = new RedisScript(absl::StrCat(kCheckIdentity, R"(
  if redis.call('ZREM', KEYS[2], ARGV[1]) == 1 then
    if ARGV[2] == '' then
      redis.call('HINCRBY', KEYS[1], 'done', 1)
    else
      local is_kept = redis.call('HLEN', KEYS[3]) < tonumber(ARGV[3])
      redis.call('HSET', KEYS[3], ARGV[1], is_kept and ARGV[2] or '')
      redis.call('HINCRBY', KEYS[1], 'failed', 1)
    end
  end
)",
                                                           kTouch, "return 1"));
  return *script;
}

bool IsJobName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxJobNameBytes &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
         });
}

std::vector<std::string> KeysOf(const std::string& job) {
  const std::string root = absl::StrCat("cc:job:{", job, "}:");
  return {root + "state", root + "leases", root + "failures"};
}

}  // namespace

RedisWorkQueue::RedisWorkQueue(RedisWorkQueueOptions options)
    : options_(std::move(options)), keys_(KeysOf(options_.job)) {}

absl::StatusOr<std::unique_ptr<RedisWorkQueue>> RedisWorkQueue::Open(RedisWorkQueueOptions options) {
  if (!IsJobName(options.job))
    return InvalidField("job", absl::StrCat("must be 1 to ", kMaxJobNameBytes, " of A-Z a-z 0-9 . _ -"));
  std::unique_ptr<RedisWorkQueue> queue(new RedisWorkQueue(std::move(options)));
  const RedisWorkQueueOptions& asked = queue->options_;
  CACHECLIP_RETURN_IF_ERROR(
      queue->Run(OpenScript(), {absl::StrCat(asked.total), asked.reset ? "1" : "0"}).status());
  return queue;
}

absl::StatusOr<RedisReply> RedisWorkQueue::Run(const RedisScript& script,
                                               const std::vector<std::string>& args) const {
  std::vector<std::string> all = args;
  all.push_back(options_.identity);
  all.push_back(absl::StrCat(absl::ToInt64Milliseconds(kJobTtl)));
  absl::StatusOr<RedisReply> reply = options_.client->RunScript(script, keys_, all, {.is_idempotent = true});
  if (RedisErrorCode(reply.status()) == kOtherJob) return OtherJob();
  return reply;
}

absl::Status RedisWorkQueue::OtherJob() const {
  return FieldError(absl::StatusCode::kFailedPrecondition, "job",
                    absl::StrCat(options_.job,
                                 " is under way with other documents, options or another model; let it end, "
                                 "take another name, or --reset"));
}

absl::StatusOr<WorkQueue::Claim> RedisWorkQueue::Next() {
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply,
                             Run(NextScript(), {absl::StrCat(absl::ToInt64Milliseconds(options_.lease))}));
  if (!reply.is_integer()) return absl::InternalError("the job queue answered no number");
  if (reply.integer == -1) return Claim{Answer::kWait, 0};
  if (reply.integer < 0) return Claim{Answer::kFinished, 0};
  if (reply.integer >= options_.total)
    return absl::InternalError("the job queue gave an item beyond the last");
  return Claim{Answer::kItem, reply.integer};
}

absl::Status RedisWorkQueue::SetLease(int64_t index, absl::Duration lease) {
  return Run(LeaseScript(), {absl::StrCat(index), absl::StrCat(absl::ToInt64Milliseconds(lease))}).status();
}

absl::Status RedisWorkQueue::Finish(int64_t index, std::string_view failure) {
  return Run(FinishScript(), {absl::StrCat(index), std::string(failure.substr(0, kMaxReasonBytes)),
                              absl::StrCat(kMaxKeptFailures)})
      .status();
}

absl::StatusOr<JobState> RedisWorkQueue::State() {
  CACHECLIP_ASSIGN_OR_RETURN(
      const RedisReply reply,
      options_.client->Execute({.args = {"HMGET", keys_[0], "done", "failed", "identity"}},
                               {.is_idempotent = true}));
  if (reply.elements.size() != 3) return absl::InternalError("the job queue answered no state");
  JobState state{.total = options_.total};
  if (!absl::SimpleAtoi(reply.elements[0].text, &state.done) ||
      !absl::SimpleAtoi(reply.elements[1].text, &state.failed))
    return absl::NotFoundError(absl::StrCat("job ", options_.job, " is gone from Redis"));
  if (reply.elements[2].text != options_.identity) return OtherJob();
  return state;
}

}  // namespace cacheclip
