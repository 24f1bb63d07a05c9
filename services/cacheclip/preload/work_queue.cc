#include "services/cacheclip/preload/work_queue.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {

absl::StatusOr<WorkQueue::Claim> ShardQueue::Next() {
  const int64_t index = next_.fetch_add(num_shards_);
  return index < total_ ? Claim{Answer::kItem, index} : Claim{Answer::kFinished, 0};
}

absl::Status ShardQueue::Finish(int64_t /*index*/, std::string_view failure) {
  ++(failure.empty() ? done_ : failed_);
  return absl::OkStatus();
}

absl::StatusOr<Shard> ParseShard(std::string_view text) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(AbslView(text), absl::MaxSplits('/', 1));
  Shard shard;
  if (!absl::SimpleAtoi(parts.first, &shard.index) || !absl::SimpleAtoi(parts.second, &shard.count) ||
      shard.index < 1 || shard.count < shard.index)
    return InvalidField("shard", "must be I/N with 1 <= I <= N, like 2/5");
  return shard;
}

}  // namespace cacheclip
