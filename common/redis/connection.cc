#include "common/redis/connection.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/redis/reply_status.h"

namespace cacheclip {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr int kMaxReadsInARow = 64;  // then writing gets a turn

}  // namespace

// Where a pipeline stands. Commands are turned into bytes one at a time, so that only one is held twice.
struct RedisConnection::Progress {
  std::span<const RedisCommand* const> commands;
  RunResult result;
  int64_t owed_bytes = 0;  // expected by commands written and not answered
  std::string wire;        // the command being written, up to its payload
  size_t part = 0;         // 0: wire, 1: payload, 2: line end
  size_t offset = 0;       // in that part
  bool is_writing = false;

  bool all_written() const { return !is_writing && result.num_written == commands.size(); }
  bool all_replied() const { return result.num_replied == commands.size(); }

  // Takes up the next command if the bound allows. False: nothing to write now.
  bool StartNext(int64_t max_bytes) {
    if (is_writing) return true;
    if (result.num_written == commands.size()) return false;
    const RedisCommand& next = *commands[result.num_written];
    const bool nothing_owed = result.num_written == result.num_replied;
    if (!nothing_owed && owed_bytes + next.expected_reply_bytes > max_bytes) return false;
    wire = FormatRedisCommand(next);
    part = offset = 0;
    is_writing = true;
    ++result.num_written;  // from its first byte on: whoever retries must assume it arrived
    owed_bytes += next.expected_reply_bytes;
    return true;
  }

  std::string_view Rest() const {
    const RedisCommand& command = *commands[result.num_written - 1];
    const std::string_view parts[] = {wire, command.payload, kLineEnd};
    return parts[part].substr(offset);
  }

  void Advance(size_t num_bytes) {
    offset += num_bytes;
    while (is_writing && Rest().empty()) {
      const bool has_payload = commands[result.num_written - 1]->payload.data() != nullptr;
      offset = 0;
      is_writing = has_payload && part < 2;
      if (is_writing) ++part;
    }
  }
};

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisConnection::Open(const RedisEndpoint& endpoint,
                                                                       const RedisClientOptions& options,
                                                                       const TlsContext* tls,
                                                                       absl::Time deadline) {
  deadline = std::min(deadline, absl::Now() + options.connect_timeout);
  const auto named = [&](const absl::Status& status) {
    return WithContext(status, absl::StrCat("Redis at ", endpoint.ToString()));
  };
  auto stream = ConnectTcp(endpoint, deadline);
  if (!stream.ok()) return named(stream.status());
  if (tls != nullptr) {
    stream = StartTls(*std::move(stream), *tls, endpoint.host, deadline);
    if (!stream.ok()) return named(stream.status());
  }
  auto connection = std::unique_ptr<RedisConnection>(new RedisConnection(*std::move(stream), options));
  if (absl::Status status = connection->Introduce(options, deadline); !status.ok()) return named(status);
  return connection;
}

absl::Status RedisConnection::Introduce(const RedisClientOptions& options, absl::Time deadline) {
  std::vector<RedisCommand> commands;
  if (!options.password.empty()) {
    RedisCommand auth{.args = {"AUTH"}};
    if (!options.user.empty()) auth.args.push_back(options.user);
    auth.args.push_back(options.password);
    commands.push_back(std::move(auth));
  }
  if (options.database != 0) commands.push_back({.args = {"SELECT", std::to_string(options.database)}});
  if (commands.empty()) return absl::OkStatus();
  std::vector<const RedisCommand*> pointers;
  for (const RedisCommand& command : commands) pointers.push_back(&command);
  absl::Status refused;
  const RunResult result = Run(pointers, deadline, [&](size_t, RedisReply reply) {
    if (reply.type == RedisReply::Type::kError && refused.ok()) refused = StatusFromRedisError(reply.text);
    return true;
  });
  return result.status.ok() ? refused : result.status;
}

RedisConnection::RunResult RedisConnection::Run(std::span<const RedisCommand* const> commands,
                                                absl::Time deadline, const RawHandler& on_reply) {
  Progress progress{.commands = commands};
  progress.result.status = Loop(progress, deadline, on_reply);
  is_usable_ = progress.result.status.ok() && progress.all_replied();
  return std::move(progress.result);
}

absl::Status RedisConnection::Loop(Progress& progress, absl::Time deadline, const RawHandler& on_reply) {
  absl::Time last_move = absl::Now();
  while (!progress.all_replied()) {
    const absl::StatusOr<bool> written = WriteSome(progress);
    // Also after a failed write: what the server said before it closed tells more.
    CACHECLIP_ASSIGN_OR_RETURN(const bool has_read, ReadSome(progress, on_reply));
    CACHECLIP_ASSIGN_OR_RETURN(const bool has_written, written);
    if (progress.result.is_refused) return absl::OkStatus();
    const absl::Time now = absl::Now();
    if (has_written || has_read) {
      last_move = now;
      if (now < deadline) continue;
    }
    const bool wants_to_write = progress.is_writing;
    absl::Status waited =
        WaitForStream(stream_->fd(), wants_to_write, std::min(deadline, last_move + timeout_));
    if (!waited.ok()) {
      progress.result.silence = absl::Now() - last_move;
      return waited;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RedisConnection::WriteSome(Progress& progress) {
  bool has_moved = false;
  while (progress.StartNext(max_bytes_in_flight_)) {
    CACHECLIP_ASSIGN_OR_RETURN(const size_t count, stream_->Write(progress.Rest()));
    if (count == 0) break;
    progress.Advance(count);
    has_moved = true;
  }
  return has_moved;
}

absl::StatusOr<bool> RedisConnection::ReadSome(Progress& progress, const RawHandler& on_reply) {
  int num_reads = 0;
  while (num_reads < kMaxReadsInARow && !progress.all_replied() && !progress.result.is_refused) {
    CACHECLIP_ASSIGN_OR_RETURN(const size_t count, stream_->Read(reader_.Space()));
    if (count == 0) break;
    ++num_reads;
    reader_.Commit(count);
    progress.result.received_bytes += static_cast<int64_t>(count);
    CACHECLIP_RETURN_IF_ERROR(DeliverReplies(progress, on_reply));
  }
  return num_reads > 0;
}

absl::Status RedisConnection::DeliverReplies(Progress& progress, const RawHandler& on_reply) {
  RunResult& result = progress.result;
  while (!progress.all_replied() && !result.is_refused) {
    const RedisCommand& command = *progress.commands[result.num_replied];
    CACHECLIP_ASSIGN_OR_RETURN(std::optional<RedisReply> reply, reader_.Next(command.sink));
    if (!reply.has_value()) return absl::OkStatus();
    if (result.num_replied == result.num_written) return absl::InternalError("a reply to no command");
    progress.owed_bytes -= command.expected_reply_bytes;
    result.is_refused = !on_reply(result.num_replied, *std::move(reply));
    ++result.num_replied;
  }
  return absl::OkStatus();
}

}  // namespace cacheclip
