#include "common/store/object/http_client.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kTurnPoll =
    absl::Milliseconds(100);  // how soon a waiting request sees it is cancelled

void InitialiseCurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  CACHECLIP_CHECK(code == CURLE_OK) << curl_easy_strerror(code);
}

class HeaderList {
 public:
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(list_); }
  void Add(const std::string& line) {
    curl_slist* grown = curl_slist_append(list_, line.c_str());
    CACHECLIP_CHECK(grown != nullptr) << "out of memory";
    list_ = grown;
  }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

template <typename Value>
void Set(CURL* curl, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(curl, option, value);
  CACHECLIP_CHECK(code == CURLE_OK) << "option " << option << ": " << curl_easy_strerror(code);
}

bool IsTrustError(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_SSL_ISSUER_ERROR;
}

}  // namespace

std::string HttpResponse::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

struct HttpClient::Handle {
  Handle() : curl(curl_easy_init()) { CACHECLIP_CHECK(curl != nullptr) << "out of memory"; }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { curl_easy_cleanup(curl); }
  CURL* const curl;
};

// Sets a handle up for one request, runs it and collects the response.
class HttpClient::Transfer {
 public:
  Transfer(CURL* curl, const HttpClientOptions& options, const HttpRequest& request,
           const CancellationToken& token)
      : curl_(curl), options_(options), request_(request), token_(token) {}

  absl::StatusOr<HttpResponse> Run(absl::Duration limit, bool limit_is_deadline) {
    curl_easy_reset(curl_);
    SetLimits(limit);
    SetRequest();
    SetCallbacks();
    error_[0] = '\0';
    const CURLcode code = curl_easy_perform(curl_);
    curl_easy_reset(curl_);  // drops secrets and pointers; keeps the connections
    if (code != CURLE_OK) return Failure(code, limit_is_deadline);
    return std::move(response_);
  }

 private:
  void SetLimits(absl::Duration limit) {
    Set(curl_, CURLOPT_NOSIGNAL, 1L);
    Set(curl_, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<int64_t>(1, absl::ToInt64Milliseconds(limit))));
    Set(curl_, CURLOPT_CONNECTTIMEOUT_MS,
        static_cast<long>(std::max<int64_t>(1, absl::ToInt64Milliseconds(options_.connect_timeout))));
    Set(curl_, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(options_.min_bytes_per_second));
    Set(curl_, CURLOPT_LOW_SPEED_TIME,
        static_cast<long>(std::max<int64_t>(1, absl::ToInt64Seconds(options_.stall_timeout))));
#if LIBCURL_VERSION_NUM >= 0x075500
    Set(curl_, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    Set(curl_, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    Set(curl_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    Set(curl_, CURLOPT_MAXCONNECTS, 2L);  // of this handle, which runs one request at a time
    Set(curl_, CURLOPT_TCP_KEEPALIVE, 1L);
    Set(curl_, CURLOPT_BUFFERSIZE, 512L << 10);
    if (!options_.tls_ca.empty()) Set(curl_, CURLOPT_CAINFO, options_.tls_ca.c_str());
  }

  void SetRequest() {
    Set(curl_, CURLOPT_URL, request_.url.c_str());
    Set(curl_, CURLOPT_PATH_AS_IS, 1L);
    for (const std::string& line : request_.headers) headers_.Add(line);
    headers_.Add("Expect:");  // no waiting for "100 Continue"
    if (request_.method == "HEAD") {
      Set(curl_, CURLOPT_NOBODY, 1L);
    } else if (request_.method == "PUT" || request_.method == "POST") {
      Set(curl_, CURLOPT_POST, 1L);
      Set(curl_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
      Set(curl_, CURLOPT_POSTFIELDS,
          request_.body.empty() ? "" : reinterpret_cast<const char*>(request_.body.data()));
    }
    if (request_.method != "HEAD") Set(curl_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    if (request_.signing) SetSigning(*request_.signing);
    Set(curl_, CURLOPT_HTTPHEADER, headers_.get());
  }

  void SetSigning(const AwsSigning& signing) {
    const std::string scheme = absl::StrCat("aws:amz:", signing.region, ":", signing.service);
    Set(curl_, CURLOPT_AWS_SIGV4, scheme.c_str());
    Set(curl_, CURLOPT_USERNAME, signing.access_key_id.c_str());
    Set(curl_, CURLOPT_PASSWORD, signing.secret_access_key.c_str());
    if (!signing.session_token.empty())
      headers_.Add(absl::StrCat("x-amz-security-token: ", signing.session_token));
  }

  void SetCallbacks() {
    Set(curl_, CURLOPT_ERRORBUFFER, error_);
    Set(curl_, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
    Set(curl_, CURLOPT_HEADERDATA, this);
    Set(curl_, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
    Set(curl_, CURLOPT_WRITEDATA, this);
    Set(curl_, CURLOPT_NOPROGRESS, 0L);
    Set(curl_, CURLOPT_XFERINFOFUNCTION, &Transfer::OnProgress);
    Set(curl_, CURLOPT_XFERINFODATA, this);
  }

  absl::Status Failure(CURLcode code, bool limit_is_deadline) const {
    if (absl::Status ended = token_.Check(); !ended.ok()) return ended;
    const std::string what = absl::StrCat(request_.method, " failed: ",
                                          !problem_.empty()   ? problem_
                                          : error_[0] != '\0' ? error_
                                                              : curl_easy_strerror(code));
    if (IsTrustError(code)) return FieldError(absl::StatusCode::kFailedPrecondition, "s3_tls_ca", what);
    if (code == CURLE_OPERATION_TIMEDOUT && limit_is_deadline && !HasStalled())
      return absl::DeadlineExceededError(what);
    return absl::UnavailableError(what);
  }

  // curl reports its own limits and the deadline with one code; the text tells a stall from them.
  bool HasStalled() const {
    return absl::StartsWith(error_, "Operation too slow") || absl::StartsWith(error_, "Connection timeout");
  }

  size_t TakeHeader(absl::string_view line) {
    num_header_bytes_ += static_cast<int64_t>(line.size());
    if (num_header_bytes_ > kMaxHttpHeaderBytes) {
      problem_ = absl::StrCat("more than ", kMaxHttpHeaderBytes, " bytes of response headers");
      return 0;
    }
    const size_t length = line.size();
    if (absl::StartsWith(line, "HTTP/")) {  // a new response: what an interim one said does not count
      response_ = {};
      const size_t space = line.find(' ');
      if (space != line.npos) response_.status = std::atoi(std::string(line.substr(space + 1, 3)).c_str());
      return length;
    }
    const size_t colon = line.find(':');
    if (colon != line.npos)
      response_.headers[absl::AsciiStrToLower(line.substr(0, colon))] =
          std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
    return length;
  }

  size_t TakeBody(const char* data, size_t num_bytes) {
    const bool is_success = response_.status >= 200 && response_.status < 300;
    if (is_success && !request_.out.empty()) {
      if (num_bytes > request_.out.size() - response_.num_out_bytes) {
        problem_ = "the response is longer than what was asked for";
        return 0;
      }
      std::memcpy(request_.out.data() + response_.num_out_bytes, data, num_bytes);
      response_.num_out_bytes += static_cast<int64_t>(num_bytes);
      return num_bytes;
    }
    if (static_cast<int64_t>(response_.body.size() + num_bytes) > request_.max_body_bytes) {
      problem_ = absl::StrCat("the response is longer than ", request_.max_body_bytes, " bytes");
      return 0;
    }
    response_.body.append(data, num_bytes);
    return num_bytes;
  }

  static size_t OnHeader(char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->TakeHeader({data, size * count});
  }
  static size_t OnBody(char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->TakeBody(data, size * count);
  }
  static int OnProgress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Transfer*>(self)->token_.Check().ok() ? 0 : 1;
  }

  CURL* const curl_;
  const HttpClientOptions& options_;
  const HttpRequest& request_;
  const CancellationToken& token_;
  HeaderList headers_;
  HttpResponse response_;
  int64_t num_header_bytes_ = 0;
  std::string problem_;  // what a callback refused
  char error_[CURL_ERROR_SIZE] = {};
};

HttpClient::HttpClient(HttpClientOptions options) : options_(std::move(options)) {}
HttpClient::~HttpClient() = default;

absl::StatusOr<std::unique_ptr<HttpClient>> HttpClient::Create(HttpClientOptions options) {
  InitialiseCurl();
  if (options.max_connections < 1)
    return InvalidField("max_connections", absl::StrCat("must be positive, got ", options.max_connections));
  if (!options.tls_ca.empty() && ::access(options.tls_ca.c_str(), R_OK) != 0)
    return InvalidField("s3_tls_ca", absl::StrCat("cannot be read: ", options.tls_ca));
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(options)));
}

absl::StatusOr<HttpResponse> HttpClient::Send(const HttpRequest& request, const CancellationToken& token) {
  CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<Handle> handle, Take(token));
  const absl::Duration left = token.deadline() - options_.clock->Now();
  const bool limit_is_deadline = left < options_.max_request_time;
  const absl::Duration limit = std::min(left, options_.max_request_time);
  auto response = Transfer(handle->curl, options_, request, token).Run(limit, limit_is_deadline);
  GiveBack(std::move(handle));
  return response;
}

absl::StatusOr<std::unique_ptr<HttpClient::Handle>> HttpClient::Take(const CancellationToken& token) {
  std::unique_lock lock(mutex_);
  for (;;) {
    CACHECLIP_RETURN_IF_ERROR(token.Check());
    if (num_taken_ < options_.max_connections) break;
    returned_.wait_for(lock, absl::ToChronoMilliseconds(kTurnPoll));
  }
  ++num_taken_;
  if (idle_.empty()) return std::make_unique<Handle>();
  std::unique_ptr<Handle> handle =
      std::move(idle_.back());  // the one used last: its connection is likeliest alive
  idle_.pop_back();
  return handle;
}

void HttpClient::GiveBack(std::unique_ptr<Handle> handle) {
  {
    std::lock_guard lock(mutex_);
    --num_taken_;
    idle_.push_back(std::move(handle));
  }
  returned_.notify_one();
}

}  // namespace cacheclip
