// Load or recompute? Before a request's chunks are loaded, PlanLoads() says for each which tiers are worth
// asking: a tier from which all of them are expected later than they could be encoded is not. While they come
// in, LoadAllowance() says how long to wait: whatever happens, the request must not end later than
//
//   latest finish = full prefill * (1 + kMaxOverhead) + kMaxOverheadFixed
//
// after loading began. Half of the overhead is spent on waiting, half is kept for passes that take longer
// than expected. What is missing can be encoded anew, or everything prefilled in full, whichever is faster;
// so the more has arrived, the longer the rest may take. Pure functions on values; thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "common/engine/tier_speed.h"
#include "common/store/chunk_store.h"

namespace cacheclip {

inline constexpr double kMaxOverhead = 0.1;  // over full prefill
inline constexpr absl::Duration kMaxOverheadFixed = absl::Milliseconds(50);
inline constexpr double kShareForWaiting = 0.5;

// Encoding some chunks and the selective pass are many small passes: their estimate is trusted less than that
// of one full prefill, which stands on both sides of the bound.
inline constexpr double kEstimateMargin = 0.1;

// What the request costs without any load. Infinite: unknown, nothing has been measured yet.
struct ComputeCosts {
  absl::Duration full_prefill = absl::InfiniteDuration();
  absl::Duration selective_pass = absl::InfiniteDuration();  // scoring, recomputed rows and suffix
  std::vector<absl::Duration> encode;                        // of each chunk, alone behind its prefix

  bool is_known() const { return full_prefill < absl::InfiniteDuration(); }
  // Of the pass's end, counted from the beginning of loading, as long as estimates hold.
  absl::Duration LatestFinish() const {
    return full_prefill + (full_prefill * kMaxOverhead + kMaxOverheadFixed) * kShareForWaiting;
  }
  // Of the chunks marked missing.
  absl::Duration EncodeAll(const std::vector<bool>& missing) const;
  // Encoding those and the selective pass, on the safe side.
  absl::Duration SelectiveWay(const std::vector<bool>& missing) const {
    return (EncodeAll(missing) + selective_pass) * (1 + kEstimateMargin);
  }
};

struct TierOption {
  Tier tier = Tier::kDisk;
  TierEstimate estimate;
};

struct LoadPlanInput {
  std::vector<int64_t> chunk_bytes;
  ComputeCosts costs;
  std::vector<TierOption> tiers;  // those that may be slower than computing
};

// The reasons, as in metrics and usage.
inline constexpr std::string_view kLoadUnmeasured = "unmeasured";  // load: nothing to compare with yet
inline constexpr std::string_view kLoadFaster = "load_faster";   // load: expected before it could be encoded
inline constexpr std::string_view kLoadSomeTiers = "slow_tier";  // load, but not from every tier
inline constexpr std::string_view kEncodeMissing = "missing";    // encode: no tier has it
inline constexpr std::string_view kEncodeDamaged = "damaged";    // encode: what was stored is not the chunk
inline constexpr std::string_view kEncodeUnavailable = "unavailable";
inline constexpr std::string_view kEncodeLate = "late";
inline constexpr std::string_view kEncodeSlowTier = "slow_tier";  // encode: not in the tiers worth asking

struct ChunkLoadPlan {
  TierSet avoid;
  std::string_view reason;
};

// One entry per chunk.
std::vector<ChunkLoadPlan> PlanLoads(const LoadPlanInput& input);

// How long after loading began the `missing` chunks may be waited for. At most `timeout`.
absl::Duration LoadAllowance(const ComputeCosts& costs, const std::vector<bool>& missing,
                             absl::Duration timeout);

// Whether, `elapsed` after loading began, encoding the missing chunks would end too late, so that full
// prefill has to answer. Never when it would be slower than encoding.
bool FullPrefillWins(const ComputeCosts& costs, const std::vector<bool>& missing, absl::Duration elapsed);

// How many layers have to be there before the pass begins, so that layer l arrives before its turn: the pass
// should not wait on the compute thread for what is still `remaining_load` away.
int LayersToAwait(int num_layers, absl::Duration remaining_load, absl::Duration pass);

}  // namespace cacheclip
