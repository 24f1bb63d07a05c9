// A hundred callers, one fetch: whoever asks for a key first fetches it on its own thread, the others wait
// for the outcome, each no longer than its own deadline. A chunk that is still arriving stays shared until
// its last layer is there: later callers get the same arrival (or wait for all of it, if they do not accept
// arriving chunks). When the first caller ran out of time, or avoided tiers that another one does not, its
// failure is its own and the next caller fetches. Thread-safe; arrivals may outlive this object.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/kv/chunk_key.h"
#include "common/store/chunk_store.h"

namespace cacheclip {

class SingleFlight {
 public:
  // How often a waiting caller looks at the clock; the outcome itself wakes it at once.
  static constexpr absl::Duration kPollInterval = absl::Milliseconds(5);

  explicit SingleFlight(const Clock* clock);

  using Fetch = std::function<absl::StatusOr<StoreHit>()>;
  // What `fetch` returned, here or at another caller. DEADLINE_EXCEEDED when options.deadline comes first.
  absl::StatusOr<StoreHit> Do(const ChunkKey& key, const GetOptions& options, const Fetch& fetch);

  // From here on callers fetch anew; who waits already still gets the outcome. After a deletion.
  void Forget(const ChunkKey& key);

  int64_t num_waiting() const;  // callers that wait for another one's fetch

 private:
  struct Flight;
  struct State;

  absl::StatusOr<StoreHit> Lead(const ChunkKey& key, const std::shared_ptr<Flight>& flight,
                                const Fetch& fetch);
  absl::Status WaitForOutcome(const Flight& flight, const ChunkKey& key, absl::Time deadline);

  const Clock* const clock_;
  const std::shared_ptr<State> state_;
};

}  // namespace cacheclip
