#include "services/cacheclip/preload/job_identity.h"

#include <cstdint>

namespace cacheclip {

std::string JobIdentity(const Digest& documents, const PrefixContext& prefix, const IngestOptions& options) {
  // The key of any chunk covers whatever changes a chunk's bytes.
  static constexpr int32_t kAnyTokens[] = {0};
  Sha256 hash;
  hash.AddField(ToHex(documents)).AddField(options.namespace_name).AddField(prefix.record().prefix_id);
  hash.AddField(prefix.KeyOf(kAnyTokens).ToHex());
  hash.AddInteger(options.chunker.target_tokens).AddInteger(options.chunker.max_tokens);
  hash.AddInteger(options.chunker.min_tokens).AddInteger(options.title_in_chunks);
  return ToHex(hash.Finish());
}

}  // namespace cacheclip
