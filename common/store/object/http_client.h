// HTTP/1.1 requests over a bounded pool of kept connections, with AWS Signature Version 4 where asked: the
// one place that includes libcurl. Knows nothing of S3. Request bodies are sent from the caller's memory and
// large responses received into it, without a copy.
//
// Every request ends: by the token's deadline, by max_request_time, when a connection is not made within
// connect_timeout, or when fewer than min_bytes_per_second came in for stall_timeout. A body shorter than its
// Content-Length, or longer than there is room for, is an error. Redirects are not followed. The
// environment's proxy settings (https_proxy, no_proxy) hold, as for every libcurl program. Secrets appear in
// no message. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"

namespace cacheclip {

inline constexpr int64_t kMaxHttpHeaderBytes = int64_t{64} << 10;

struct HttpClientOptions {
  std::string tls_ca;       // PEM file; empty: the system's certificates
  int max_connections = 8;  // requests at once; more wait for their turn within their deadline
  absl::Duration connect_timeout = absl::Seconds(5);
  absl::Duration max_request_time = absl::Seconds(60);
  absl::Duration stall_timeout = absl::Seconds(10);
  int64_t min_bytes_per_second = 1024;
  Clock* clock = RealClock();  // what deadlines are compared with; outlives the client
};

struct AwsSigning {
  std::string service, region, access_key_id, secret_access_key, session_token;
};

struct HttpRequest {
  std::string method;                // GET, HEAD, PUT, POST, DELETE
  std::string url;                   // percent-encoded; query parameters sorted, each with "="
  std::vector<std::string> headers;  // "name: value"
  std::span<const std::byte> body;   // must stay until Send() returns
  std::optional<AwsSigning> signing;
  std::span<std::byte> out;                    // where the body of a 2xx response goes, if not empty
  int64_t max_body_bytes = int64_t{64} << 10;  // of any other response body
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;                            // unless it went to `out`
  int64_t num_out_bytes = 0;

  std::string Header(const std::string& name) const;  // "" when absent
};

class HttpClient {
 public:
  // INVALID_ARGUMENT naming s3_tls_ca when the file cannot be read.
  static absl::StatusOr<std::unique_ptr<HttpClient>> Create(HttpClientOptions options);
  ~HttpClient();

  // A response of any status is OK. DEADLINE_EXCEEDED or CANCELLED by the token; UNAVAILABLE: no connection,
  // cut off, stalled, or not what HTTP allows; FAILED_PRECONDITION: the server's certificate is not trusted.
  absl::StatusOr<HttpResponse> Send(const HttpRequest& request, const CancellationToken& token);

 private:
  class Transfer;  // one request under way
  struct Handle;   // a curl handle and its connections

  explicit HttpClient(HttpClientOptions options);
  absl::StatusOr<std::unique_ptr<Handle>> Take(const CancellationToken& token);
  void GiveBack(std::unique_ptr<Handle> handle);

  const HttpClientOptions options_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Handle>> idle_;
  int num_taken_ = 0;
};

}  // namespace cacheclip
