// The changes of a chunk in Redis that must be one step, as Lua scripts with typed calls. All take the
// chunk's keys as AllRedisKeys() lists them and run on the one node that holds them. Expiry of a chunk: the
// tier's TTL or the last pin, whichever is later; slices get kSliceSlack more than the header, so a visible
// chunk never loses a slice to time. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/redis/redis_client.h"
#include "common/store/redis/chunk_keys.h"

namespace cacheclip {

enum class ScriptOutcome {
  kDone,
  kAbsent,   // no such header, or another one by now
  kPresent,  // Publish: there was a visible header already; Discard: this one
  kHalf,     // a slice is missing: the header, if any, has been deleted
  kFull,     // Pin: too many owners
};

class ChunkScripts {
 public:
  static constexpr absl::Duration kSliceSlack = absl::Minutes(1);

  // `client` must outlive it. `ttl`: how long an unpinned chunk lives after its last use.
  ChunkScripts(RedisClient* client, absl::Duration ttl) : client_(client), ttl_(ttl) {}

  // Makes a chunk visible whose slices are all there. One that is visible already keeps its header; if that
  // is the same one, everything gets its expiry anew.
  absl::StatusOr<ScriptOutcome> Publish(const std::vector<std::string>& keys, std::string_view header,
                                        const RedisCallOptions& options);
  // A use: sets the expiry anew.
  absl::StatusOr<ScriptOutcome> Touch(const std::vector<std::string>& keys, std::string_view tail,
                                      const RedisCallOptions& options);
  absl::StatusOr<ScriptOutcome> Pin(const std::vector<std::string>& keys, std::string_view tail,
                                    std::string_view owner, absl::Duration duration,
                                    const RedisCallOptions& options);
  absl::StatusOr<ScriptOutcome> Unpin(const std::vector<std::string>& keys, std::string_view tail,
                                      std::string_view owner, const RedisCallOptions& options);
  // Makes the chunk invisible and returns its header ("" if there was none). With a tail only if it has that
  // one, and its pins stay; without, the pins go too.
  absl::StatusOr<std::string> Hide(const ChunkKey& key, std::string_view tail,
                                   const RedisCallOptions& options);

  // Deletes the slices, unless a header with this tail is visible: the same bytes were put again since.
  absl::StatusOr<ScriptOutcome> Discard(const std::vector<std::string>& keys, std::string_view tail,
                                        const RedisCallOptions& options);

 private:
  absl::StatusOr<ScriptOutcome> Run(const RedisScript& script, const std::vector<std::string>& keys,
                                    std::vector<std::string> args, const RedisCallOptions& options);

  RedisClient* const client_;
  const absl::Duration ttl_;
};

}  // namespace cacheclip
