// A connected, non-blocking stream of bytes to a server: plain TCP or TLS on top of it. Read() and Write()
// never wait; when they move nothing, the caller waits with WaitForStream() and tries again. Belongs to one
// thread at a time. Owns its socket.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/redis/redis_options.h"

namespace cacheclip {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Bytes moved, 0 when none can be moved now. UNAVAILABLE: the other side has closed or reset the
  // connection.
  virtual absl::StatusOr<size_t> Read(std::span<std::byte> out) = 0;
  virtual absl::StatusOr<size_t> Write(std::string_view bytes) = 0;
  virtual int fd() const = 0;
};

// Waits until the stream may be read (or written, if `for_writing`) or `deadline`. DEADLINE_EXCEEDED.
absl::Status WaitForStream(int fd, bool for_writing, absl::Time deadline);

// Whether something can be read at once: on an idle connection that means the server has closed it.
bool HasInput(int fd);

// A TCP connection, name resolution included. UNAVAILABLE (unknown name, refused, unreachable) or
// DEADLINE_EXCEEDED, both naming the endpoint.
absl::StatusOr<std::unique_ptr<ByteStream>> ConnectTcp(const RedisEndpoint& endpoint, absl::Time deadline);

}  // namespace cacheclip
