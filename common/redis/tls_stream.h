// TLS 1.2 and newer on top of a connected stream, by OpenSSL. The server's certificate is always verified
// against the authorities and the host name or IP address that was dialled. TlsContext is made once and
// shared (thread-safe); a stream belongs to one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/redis/byte_stream.h"
#include "common/redis/redis_options.h"

struct ssl_ctx_st;

namespace cacheclip {

class TlsContext {
 public:
  // INVALID_ARGUMENT naming the option whose file cannot be used.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Make(const RedisTlsOptions& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ssl_ctx_st* get() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* const context_;
};

// Takes over `stream` and shakes hands. UNAUTHENTICATED: the certificate does not verify, or the server wants
// one of ours. UNAVAILABLE: no TLS there, or the connection broke. DEADLINE_EXCEEDED.
absl::StatusOr<std::unique_ptr<ByteStream>> StartTls(std::unique_ptr<ByteStream> stream,
                                                     const TlsContext& context, const std::string& host,
                                                     absl::Time deadline);

}  // namespace cacheclip
