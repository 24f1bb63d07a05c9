#include "common/redis/node_pool.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/redis/reply_status.h"

namespace cacheclip {
namespace {

// A call whose own deadline passes sooner than this has not waited long enough to blame the node.
constexpr absl::Duration kMinBlamableSilence = absl::Milliseconds(100);

CircuitBreakerOptions BreakerOptions(const RedisClientOptions& options) {
  return {.failures = options.breaker_failures,
          .backoff = options.breaker_backoff,
          .max_backoff = options.max_breaker_backoff,
          .clock = options.clock};
}

}  // namespace

NodePool::NodePool(RedisEndpoint endpoint, const RedisClientOptions& options,
                   std::shared_ptr<const TlsContext> tls)
    : endpoint_(std::move(endpoint)),
      options_(options),
      tls_(std::move(tls)),
      breaker_(BreakerOptions(options)) {}

RedisConnection::RunResult NodePool::Run(std::span<const RedisCommand* const> commands, absl::Time deadline,
                                         const RedisConnection::RawHandler& on_reply) {
  const auto named = [&](const absl::Status& status) {
    return WithContext(status, absl::StrCat("Redis at ", endpoint_.ToString()));
  };
  if (absl::Status status = breaker_.Enter(); !status.ok()) return {.status = named(status)};
  const absl::Time start = absl::Now();
  auto connection = Borrow(deadline);
  if (!connection.ok()) {
    const RedisConnection::RunResult result{.status = connection.status(), .silence = absl::Now() - start};
    Judge(result);
    return result;  // names the endpoint already
  }
  RedisConnection::RunResult result = (*connection)->Run(commands, deadline, on_reply);
  GiveBack(*std::move(connection));
  Judge(result);
  result.status = named(result.status);
  return result;
}

void NodePool::Judge(const RedisConnection::RunResult& result) {
  const bool is_late = absl::IsDeadlineExceeded(result.status);
  if (result.status.ok() || absl::IsUnauthenticated(result.status) ||
      absl::IsPermissionDenied(result.status)) {
    breaker_.Succeed();  // it answers
  } else if (absl::IsResourceExhausted(result.status) ||
             (is_late && result.silence < std::min(kMinBlamableSilence, options_.timeout))) {
    breaker_.Withdraw();
  } else {
    breaker_.Fail(result.status);
    std::lock_guard lock(mutex_);  // connections to a node that failed are not worth a second failure
    num_open_ -= static_cast<int>(idle_.size());
    idle_.clear();
    given_back_.notify_all();
  }
}

absl::StatusOr<RedisReply> NodePool::Execute(const RedisCommand& command, absl::Time deadline) {
  const RedisCommand* const commands[] = {&command};
  std::optional<RedisReply> received;
  const auto result = Run(commands, deadline, [&](size_t, RedisReply reply) {
    received = std::move(reply);
    return true;
  });
  CACHECLIP_RETURN_IF_ERROR(result.status);
  if (received->type == RedisReply::Type::kError) return StatusFromRedisError(received->text);
  return *std::move(received);
}

absl::StatusOr<std::unique_ptr<RedisConnection>> NodePool::Borrow(absl::Time deadline) {
  {
    std::unique_lock lock(mutex_);
    const absl::Time patience = std::min(deadline, absl::Now() + options_.timeout);
    while (true) {
      if (auto connection = TakeIdle()) return connection;
      if (num_open_ < options_.connections_per_node) break;
      if (given_back_.wait_until(lock, absl::ToChronoTime(patience)) == std::cv_status::timeout &&
          absl::Now() >= patience)
        return absl::ResourceExhaustedError(absl::StrCat("all ", num_open_, " connections to Redis at ",
                                                         endpoint_.ToString(), " are in use"));
    }
    ++num_open_;
  }
  auto connection = RedisConnection::Open(endpoint_, options_, tls_.get(), deadline);
  if (!connection.ok()) GiveBack(nullptr);
  return connection;
}

std::unique_ptr<RedisConnection> NodePool::TakeIdle() {
  const absl::Time oldest = options_.clock->Now() - options_.idle_timeout;
  while (!idle_.empty()) {
    IdleConnection last = std::move(idle_.back());
    idle_.pop_back();
    if (last.since >= oldest && !last.connection->IsStale()) return std::move(last.connection);
    --num_open_;
  }
  return nullptr;
}

void NodePool::GiveBack(std::unique_ptr<RedisConnection> connection) {
  std::lock_guard lock(mutex_);
  if (connection != nullptr && connection->is_usable()) {
    idle_.push_back({std::move(connection), options_.clock->Now()});
  } else {
    --num_open_;
  }
  given_back_.notify_one();
}

}  // namespace cacheclip
