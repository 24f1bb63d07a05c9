// The stages of a request, by the same names in usage records, metrics, benchmarks and docs. Constants only.
#pragma once

#include <string_view>

namespace cacheclip {

enum class Stage {
  kQueue,      // waiting for admission and for the compute thread
  kResolve,    // chunk ids through the catalogue, texts tokenised and keyed
  kLoad,       // stored KV read from its tier
  kEncode,     // misses encoded behind the prefix
  kSelect,     // scores and recompute set, a selector service's round trip included
  kAssemble,   // stored KV rotated and laid into the request's cache
  kRecompute,  // selected tokens and question in one pass
  kDecode,     // all tokens after the first
};

inline constexpr Stage kAllStages[] = {Stage::kQueue,  Stage::kResolve,  Stage::kLoad,      Stage::kEncode,
                                       Stage::kSelect, Stage::kAssemble, Stage::kRecompute, Stage::kDecode};

std::string_view StageName(Stage stage);  // "queue", "resolve", …

}  // namespace cacheclip
