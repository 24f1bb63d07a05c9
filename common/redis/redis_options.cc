#include "common/redis/redis_options.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr int64_t kMaxPasswordFileBytes = 64 << 10;

std::optional<std::string> PercentDecode(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return std::nullopt;
    decoded += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return decoded;
}

absl::StatusOr<RedisEndpoint> ParseEndpoint(std::string_view text, std::string_view field) {
  RedisEndpoint endpoint;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return InvalidField(field, "an IPv6 host lacks its closing bracket");
    endpoint.host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    has_port = !rest.empty();
    if (has_port && rest[0] != ':') return InvalidField(field, "expected ':' and a port after ']'");
    port = has_port ? rest.substr(1) : "";
  } else {
    const size_t colon = text.find(':');
    has_port = colon != std::string_view::npos;
    endpoint.host = text.substr(0, colon);
    port = has_port ? text.substr(colon + 1) : "";
  }
  if (endpoint.host.empty()) return InvalidField(field, "a host is empty");
  if (has_port &&
      (!absl::SimpleAtoi(AbslView(port), &endpoint.port) || endpoint.port < 1 || endpoint.port > 65535))
    return InvalidField(field, absl::StrCat("the port of ", endpoint.host, " must be 1 to 65535"));
  return endpoint;
}

absl::Status ParseCredentials(std::string_view text, std::string_view field, RedisClientOptions& options) {
  const size_t colon = text.find(':');
  const auto user = PercentDecode(colon == std::string_view::npos ? "" : text.substr(0, colon));
  const auto password = PercentDecode(colon == std::string_view::npos ? text : text.substr(colon + 1));
  if (!user || !password) return InvalidField(field, "user or password has a '%' without two hex digits");
  if (password->empty()) return InvalidField(field, "the password before '@' is empty");
  options.user = *user;
  options.password = *password;
  return absl::OkStatus();
}

absl::Status ParseDatabase(std::string_view text, std::string_view field, RedisClientOptions& options) {
  if (text.empty()) return absl::OkStatus();
  if (!absl::SimpleAtoi(AbslView(text), &options.database) || options.database < 0 ||
      options.database > kMaxRedisDatabase)
    return InvalidField(field, absl::StrCat("the database must be 0 to ", kMaxRedisDatabase));
  return absl::OkStatus();
}

absl::Status CheckRange(bool holds, std::string_view field, std::string_view problem) {
  return holds ? absl::OkStatus() : InvalidField(field, problem);
}

}  // namespace

std::string RedisEndpoint::ToString() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return is_ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<RedisClientOptions> ParseRedisUrl(std::string_view url, std::string_view field) {
  RedisClientOptions options;
  if (url.starts_with("rediss://")) {
    options.tls.enabled = true;
    url.remove_prefix(9);
  } else if (url.starts_with("redis://")) {
    url.remove_prefix(8);
  } else {
    return InvalidField(field, "must start with redis:// or rediss://");
  }
  // A password may hold anything but '@' and '/' unless it is percent-encoded: the last '@' ends it.
  const size_t at = url.rfind('@');
  if (at != std::string_view::npos) {
    CACHECLIP_RETURN_IF_ERROR(ParseCredentials(url.substr(0, at), field, options));
    url.remove_prefix(at + 1);
  }
  const size_t slash = url.find('/');
  if (slash != std::string_view::npos)
    CACHECLIP_RETURN_IF_ERROR(ParseDatabase(url.substr(slash + 1), field, options));
  for (const absl::string_view part : absl::StrSplit(AbslView(url.substr(0, slash)), ',')) {
    CACHECLIP_ASSIGN_OR_RETURN(RedisEndpoint endpoint, ParseEndpoint(StdView(part), field));
    options.endpoints.push_back(std::move(endpoint));
  }
  if (options.endpoints.size() > kMaxRedisEndpoints)
    return InvalidField(field, absl::StrCat("at most ", kMaxRedisEndpoints, " endpoints"));
  return options;
}

absl::Status ReadRedisPassword(const std::string& path, std::string_view field, RedisClientOptions& options) {
  const auto content = ReadFile(path, kMaxPasswordFileBytes);
  if (!content.ok()) return InvalidField(field, StdView(content.status().message()));
  std::string line = content->substr(0, content->find_first_of("\r\n"));
  if (line.empty()) return InvalidField(field, absl::StrCat("the first line of ", path, " is empty"));
  options.password = std::move(line);
  return absl::OkStatus();
}

absl::Status ValidateRedisOptions(const RedisClientOptions& options) {
  const bool has_certificate = !options.tls.certificate_file.empty();
  for (const absl::Status& status :
       {CheckRange(!options.endpoints.empty(), "endpoints", "must name at least one"),
        CheckRange(options.user.empty() || !options.password.empty(), "password", "a user needs a password"),
        CheckRange(options.database >= 0 && options.database <= kMaxRedisDatabase, "database",
                   "out of range"),
        CheckRange(options.database == 0 || options.cluster_mode != ClusterMode::kYes, "database",
                   "a cluster has only database 0"),
        CheckRange(has_certificate == !options.tls.key_file.empty(), "tls.certificate_file",
                   "certificate and key go together"),
        CheckRange(options.tls.enabled || (!has_certificate && options.tls.ca_file.empty()), "tls.enabled",
                   "certificates are named, but the URL is not rediss://"),
        CheckRange(
            options.connections_per_node >= 1 && options.connections_per_node <= kMaxConnectionsPerNode,
            "connections_per_node", absl::StrCat("must be 1 to ", kMaxConnectionsPerNode)),
        CheckRange(options.connect_timeout > absl::ZeroDuration(), "connect_timeout", "must be positive"),
        CheckRange(options.timeout > absl::ZeroDuration(), "timeout", "must be positive"),
        CheckRange(options.retry_for >= absl::ZeroDuration(), "retry_for", "must not be negative"),
        CheckRange(options.max_bytes_in_flight >= 1, "max_bytes_in_flight", "must be positive"),
        CheckRange(options.breaker_failures >= 1, "breaker_failures", "must be positive"),
        CheckRange(options.breaker_backoff > absl::ZeroDuration() &&
                       options.max_breaker_backoff >= options.breaker_backoff,
                   "breaker_backoff", "must be positive and at most max_breaker_backoff")})
    CACHECLIP_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

}  // namespace cacheclip
