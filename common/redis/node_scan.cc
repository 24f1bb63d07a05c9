#include "common/redis/node_scan.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr char kKeysPerPage[] = "512";

}  // namespace

absl::StatusOr<bool> ScanNode(NodePool& node, std::string_view pattern,
                              const RedisClient::KeyVisitor& visitor, absl::Time deadline) {
  std::string cursor = "0";
  do {
    const RedisCommand scan{.args = {"SCAN", cursor, "MATCH", std::string(pattern), "COUNT", kKeysPerPage},
                            .key_index = 0};
    CACHECLIP_ASSIGN_OR_RETURN(const RedisReply page, node.Execute(scan, deadline));
    if (!page.is_array() || page.elements.size() != 2 || !page.elements[0].is_text() ||
        !page.elements[1].is_array())
      return absl::InternalError("SCAN answered something else than a cursor and keys");
    for (const RedisReply& key : page.elements[1].elements)
      if (!visitor(key.text)) return false;
    cursor = page.elements[0].text;
  } while (cursor != "0");
  return true;
}

std::string JoinEndpoints(std::span<const RedisEndpoint> endpoints) {
  std::string joined;
  for (const RedisEndpoint& endpoint : endpoints)
    absl::StrAppend(&joined, joined.empty() ? "" : ",", endpoint.ToString());
  return joined;
}

}  // namespace cacheclip
