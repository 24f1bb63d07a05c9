#include "common/redis/command_run.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "common/redis/reply_status.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(5);
constexpr absl::Duration kMaxBackoff = absl::Milliseconds(100);

}  // namespace

CommandRun::CommandRun(std::span<const RedisCommand> commands, const RedisCallOptions& options,
                       const RedisClientOptions& client, const RedisClient::ReplyHandler& on_reply)
    : commands_(commands),
      options_(options),
      on_reply_(on_reply),
      retry_until_(std::min(
          options.deadline,
          absl::Now() + (options.retry_for < absl::ZeroDuration() ? client.retry_for : options.retry_for))),
      backoff_(kFirstBackoff),
      pending_(commands.size()),
      is_delivered_(commands.size()),
      last_failures_(commands.size()) {
  std::iota(pending_.begin(), pending_.end(), size_t{0});
}

absl::Status CommandRun::Send(NodePool& node, std::span<const size_t> indices, bool asking,
                              const RedirectHandler& on_redirect) {
  static const RedisCommand kAsking{.args = {"ASKING"}, .key_index = 0};
  std::vector<const RedisCommand*> wire;
  for (const size_t index : indices) {
    if (asking) wire.push_back(&kAsking);
    wire.push_back(&commands_[index]);
  }
  const size_t stride = asking ? 2 : 1;
  const auto result = node.Run(wire, options_.deadline, [&](size_t position, RedisReply reply) {
    if (asking && position % 2 == 0) return true;
    const size_t index = indices[position / stride];
    if (reply.type != RedisReply::Type::kError) {
      Deliver(index, std::move(reply));
    } else if (const std::string_view code = ErrorCodeOf(reply.text); code == "MOVED" || code == "ASK") {
      NoteFailure(index, StatusFromRedisError(reply.text));
      if (!on_redirect(index, reply.text)) Deliver(index, last_failures_[index]);
    } else if (PassesByItself(code)) {
      NoteFailure(index, StatusFromRedisError(reply.text));
    } else {
      Deliver(index, StatusFromRedisError(reply.text));
    }
    return !is_refused_;
  });
  if (!result.status.ok()) {
    for (size_t position = result.num_replied; position < wire.size(); ++position) {
      const size_t index = indices[position / stride];
      const bool may_be_executed = position < result.num_written && wire[position] != &kAsking;
      if (is_delivered_[index]) continue;
      if (may_be_executed && !options_.is_idempotent) {
        Deliver(index, result.status);
      } else {
        NoteFailure(index, result.status);
      }
    }
  }
  std::erase_if(pending_, [&](size_t index) { return is_delivered_[index]; });
  return result.status;
}

void CommandRun::Deliver(size_t index, absl::StatusOr<RedisReply> reply) {
  is_delivered_[index] = true;
  if (!is_refused_) is_refused_ = !on_reply_(index, std::move(reply));
}

void CommandRun::NoteFailure(size_t index, const absl::Status& status) { last_failures_[index] = status; }

bool CommandRun::MetReplica() const {
  return std::ranges::any_of(pending_, [this](size_t index) {
    const std::string code = RedisErrorCode(last_failures_[index]);
    return code == "READONLY" || code == "MASTERDOWN";
  });
}

bool CommandRun::WaitToRetry() {
  const absl::Time now = absl::Now();
  if (now + backoff_ > retry_until_) return false;
  std::this_thread::sleep_for(absl::ToChronoMicroseconds(backoff_));
  backoff_ = std::min(2 * backoff_, kMaxBackoff);
  return true;
}

void CommandRun::FailPending(const absl::Status& otherwise) {
  for (const size_t index : std::exchange(pending_, {})) {
    if (is_refused_) return;
    Deliver(index, last_failures_[index].ok() ? otherwise : last_failures_[index]);
  }
}

}  // namespace cacheclip
