// Where a Redis is and how it is talked to: what a client is made from. ParseRedisUrl() reads the form that
// users write:
//
//   redis://[[user:]password@]host[:port][,host[:port]…][/database]     rediss://… the same over TLS
//
// User and password are percent-decoded; an IPv6 host stands in brackets. No message holds a password. Values
// only; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace cacheclip {

inline constexpr int kDefaultRedisPort = 6379;
inline constexpr int kMaxRedisEndpoints = 64;
inline constexpr int kMaxRedisDatabase = 15999;

struct RedisEndpoint {
  std::string host;
  int port = kDefaultRedisPort;
  std::string ToString() const;  // "host:port", an IPv6 host in brackets
  friend auto operator<=>(const RedisEndpoint&, const RedisEndpoint&) = default;
};

struct RedisTlsOptions {
  bool enabled = false;
  std::string ca_file;           // PEM; empty: the system's certificate authorities
  std::string certificate_file;  // PEM chain shown to the server; empty: none. With key_file or not at all.
  std::string key_file;          // PEM
};

enum class ClusterMode { kAuto, kYes, kNo };

struct RedisClientOptions {
  std::vector<RedisEndpoint> endpoints;  // of a cluster: any of its nodes; else: tried in order
  std::string user;                      // empty: the default user
  std::string password;                  // empty: no AUTH
  int database = 0;                      // must be 0 with a cluster
  RedisTlsOptions tls;
  ClusterMode cluster_mode = ClusterMode::kAuto;

  int connections_per_node = 8;                              // 1…kMaxConnectionsPerNode; further calls wait
  absl::Duration connect_timeout = absl::Seconds(1);         // name, TCP, TLS and AUTH together
  absl::Duration timeout = absl::Seconds(2);                 // longest wait for the next byte of a reply
  absl::Duration retry_for = absl::Seconds(2);               // see RedisCallOptions::retry_for
  absl::Duration idle_timeout = absl::Minutes(5);            // a connection unused for longer is replaced
  int64_t max_bytes_in_flight = int64_t{8} << 20;            // expected replies a connection may owe
  int breaker_failures = 3;                                  // in a row, until a node is left alone
  absl::Duration breaker_backoff = absl::Milliseconds(500);  // until the first probe; doubles to …
  absl::Duration max_breaker_backoff = absl::Seconds(30);
  Clock* clock = RealClock();  // for the breaker and idle connections
};

inline constexpr int kMaxConnectionsPerNode = 256;

// Fills endpoints, user, password, database and tls.enabled. INVALID_ARGUMENT whose field is "<field>" with
// what is wrong, without the password.
absl::StatusOr<RedisClientOptions> ParseRedisUrl(std::string_view url, std::string_view field = "redis_url");

// Sets the password to the file's first line. INVALID_ARGUMENT naming "<field>" for an empty or unreadable
// file.
absl::Status ReadRedisPassword(const std::string& path, std::string_view field, RedisClientOptions& options);

// INVALID_ARGUMENT naming the option that is out of bounds or contradicts another.
absl::Status ValidateRedisOptions(const RedisClientOptions& options);

}  // namespace cacheclip
