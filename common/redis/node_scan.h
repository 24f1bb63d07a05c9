// SCAN over the keys of one node, page by page, and how a list of endpoints is named in messages. Functions;
// thread-safe as their arguments are.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/redis/node_pool.h"
#include "common/redis/redis_client.h"

namespace cacheclip {

// Whether the visitor wants the keys of further nodes. No connection is held while the visitor runs.
absl::StatusOr<bool> ScanNode(NodePool& node, std::string_view pattern,
                              const RedisClient::KeyVisitor& visitor, absl::Time deadline);

std::string JoinEndpoints(std::span<const RedisEndpoint> endpoints);  // "host:port,host:port"

}  // namespace cacheclip
