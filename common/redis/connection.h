// One connection to one Redis server: authenticated, on its database, with commands pipelined through it.
// Belongs to one thread at a time. After an error, or when a caller stopped before all replies were there, it
// is of no use any more (is_usable() is false) because replies may still be on their way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/redis/byte_stream.h"
#include "common/redis/redis_client.h"
#include "common/redis/redis_options.h"
#include "common/redis/reply_reader.h"
#include "common/redis/tls_stream.h"

namespace cacheclip {

class RedisConnection {
 public:
  // Connects, shakes hands, authenticates, selects the database; by connect_timeout or `deadline`. `tls` is
  // null without TLS. The errors of redis_client.h, naming the endpoint.
  static absl::StatusOr<std::unique_ptr<RedisConnection>> Open(const RedisEndpoint& endpoint,
                                                               const RedisClientOptions& options,
                                                               const TlsContext* tls, absl::Time deadline);

  struct RunResult {
    absl::Status status;      // OK: every command has its reply, or the handler wanted no more
    size_t num_replied = 0;   // replies given to the handler
    size_t num_written = 0;   // commands that the server has, or may have; later ones it surely has not
    bool is_refused = false;  // the handler wanted no more
    int64_t received_bytes = 0;
    absl::Duration silence;  // how long nothing had come when it failed
  };
  // Error replies come as RedisReply::Type::kError. False from the handler: no more.
  using RawHandler = std::function<bool(size_t index, RedisReply reply)>;
  RunResult Run(std::span<const RedisCommand* const> commands, absl::Time deadline,
                const RawHandler& on_reply);

  bool is_usable() const { return is_usable_; }
  int fd() const { return stream_->fd(); }
  // The server has closed it, or has sent what nobody asked for.
  bool IsStale() const { return HasInput(stream_->fd()); }

 private:
  struct Progress;
  RedisConnection(std::unique_ptr<ByteStream> stream, const RedisClientOptions& options)
      : stream_(std::move(stream)),
        timeout_(options.timeout),
        max_bytes_in_flight_(options.max_bytes_in_flight) {}

  absl::Status Introduce(const RedisClientOptions& options, absl::Time deadline);
  absl::Status Loop(Progress& progress, absl::Time deadline, const RawHandler& on_reply);
  absl::StatusOr<bool> WriteSome(Progress& progress);  // whether anything moved
  absl::StatusOr<bool> ReadSome(Progress& progress, const RawHandler& on_reply);
  absl::Status DeliverReplies(Progress& progress, const RawHandler& on_reply);

  std::unique_ptr<ByteStream> stream_;
  const absl::Duration timeout_;
  const int64_t max_bytes_in_flight_;
  ReplyReader reader_;
  bool is_usable_ = true;
};

}  // namespace cacheclip
