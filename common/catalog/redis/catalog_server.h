// The Redis side of a catalogue call: one deadline per round trip, errors in the catalogue's words, key names
// and the clock. What can be tried again later is UNAVAILABLE and names the server; a server that is full is
// RESOURCE_EXHAUSTED; NONAMESPACE becomes NOT_FOUND by namespace. Thread-safe; the client and the clock must
// outlive it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/catalog/redis/catalog_keys.h"
#include "common/redis/redis_client.h"

namespace cacheclip {

// Whether a script may be sent again when the connection broke after it was sent.
enum class Repeat { kNever, kHarmless };

class CatalogServer {
 public:
  CatalogServer(RedisClient* client, std::string root, absl::Duration timeout, const Clock* clock);

  // Requires that the reply is an array of at least `min_elements`, where given.
  absl::StatusOr<RedisReply> Run(std::string_view namespace_name, const RedisScript& script,
                                 std::span<const std::string> keys, std::span<const std::string> args,
                                 Repeat repeat) const;
  absl::StatusOr<RedisReply> Execute(const RedisCommand& command) const;  // harmless to repeat
  // All replies or the first error. Harmless to repeat.
  absl::StatusOr<std::vector<RedisReply>> Pipeline(std::span<const RedisCommand> commands) const;

  // The same script once per key with the same arguments, pipelined; integers.
  absl::StatusOr<std::vector<int64_t>> RunOnEach(const RedisScript& script, std::span<const std::string> keys,
                                                 std::span<const std::string> args) const;

  // NOT_FOUND by namespace, also when its name is not one.
  absl::Status CheckNamespace(std::string_view namespace_name) const;

  absl::Status Translate(const absl::Status& status) const;
  NamespaceKeys keys(std::string_view namespace_name) const { return {root_, namespace_name}; }
  const std::string& root() const { return root_; }
  absl::Time Now() const { return clock_->Now(); }
  RedisClient& client() const { return *client_; }
  RedisCallOptions call_options(Repeat repeat) const;

 private:
  RedisClient* const client_;
  const std::string root_;
  const absl::Duration timeout_;
  const Clock* const clock_;
};

// INTERNAL for a reply that is not what the script answers.
absl::Status UnexpectedReply(std::string_view what);
// The texts of an array, nil as "".
std::vector<std::string> TextsOf(const RedisReply& reply);
// An integer, or a text that is one; -1 if neither.
int64_t IntegerOf(const RedisReply& reply);

}  // namespace cacheclip
