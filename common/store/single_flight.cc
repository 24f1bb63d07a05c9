#include "common/store/single_flight.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {

struct SingleFlight::Flight {
  TierSet avoid;                                    // what its caller did not ask
  std::optional<absl::StatusOr<StoreHit>> outcome;  // guarded by State::mutex
};

struct SingleFlight::State {
  mutable std::mutex mutex;
  std::condition_variable changed;
  absl::flat_hash_map<ChunkKey, std::shared_ptr<Flight>> flights;
  int64_t num_waiting = 0;

  void Erase(const ChunkKey& key, const Flight* flight) {  // unless another flight has taken its place
    const auto it = flights.find(key);
    if (it != flights.end() && it->second.get() == flight) flights.erase(it);
  }
};

namespace {

absl::Status Late(const ChunkKey& key) {
  return absl::DeadlineExceededError(absl::StrCat("chunk ", key.ToHex(), " is still being fetched"));
}

// What a follower makes of the fetcher's hit; nullopt: it cannot be shared (any longer).
std::optional<absl::StatusOr<StoreHit>> ShareHit(StoreHit hit, const GetOptions& options) {
  if (hit.arrival == nullptr) return hit;
  if (!hit.arrival->Share()) return std::nullopt;
  if (options.accept_arriving) return hit;
  const absl::Status arrived = hit.arrival->WaitForAll(options.deadline);
  if (arrived.ok()) {
    hit.arrival = nullptr;
    return hit;
  }
  hit.arrival->Abandon();
  if (absl::IsDeadlineExceeded(arrived)) return arrived;
  return std::nullopt;
}

}  // namespace

SingleFlight::SingleFlight(const Clock* clock) : clock_(clock), state_(std::make_shared<State>()) {}

absl::StatusOr<StoreHit> SingleFlight::Do(const ChunkKey& key, const GetOptions& options,
                                          const Fetch& fetch) {
  for (;;) {
    std::shared_ptr<Flight> flight;
    bool leads = false;
    {
      std::lock_guard lock(state_->mutex);
      auto& entry = state_->flights[key];
      leads = entry == nullptr;
      if (leads) entry = std::make_shared<Flight>(Flight{options.avoid, {}});
      flight = entry;
    }
    if (leads) return Lead(key, flight, fetch);
    CACHECLIP_RETURN_IF_ERROR(WaitForOutcome(*flight, key, options.deadline));
    const absl::StatusOr<StoreHit>& outcome = *flight->outcome;
    if (outcome.ok()) {
      if (auto shared = ShareHit(*outcome, options); shared.has_value()) return *std::move(shared);
      std::lock_guard lock(state_->mutex);
      state_->Erase(key, flight.get());
      continue;
    }
    const bool is_its_own =
        absl::IsDeadlineExceeded(outcome.status()) || !flight->avoid.IsWithin(options.avoid);
    if (!is_its_own) return outcome.status();
    if (clock_->Now() >= options.deadline) return Late(key);
  }
}

absl::StatusOr<StoreHit> SingleFlight::Lead(const ChunkKey& key, const std::shared_ptr<Flight>& flight,
                                            const Fetch& fetch) {
  absl::StatusOr<StoreHit> outcome = fetch();
  const auto arrival = outcome.ok() ? outcome->arrival : nullptr;
  {
    std::lock_guard lock(state_->mutex);
    flight->outcome = outcome;
    if (arrival == nullptr) state_->Erase(key, flight.get());
  }
  state_->changed.notify_all();
  // Weakly: an arrival that never ends must not keep alive the flight that keeps it.
  if (arrival != nullptr)
    arrival->OnEnd(
        [weak_state = std::weak_ptr(state_), key, weak_flight = std::weak_ptr(flight)](const absl::Status&) {
          const auto state = weak_state.lock();
          const auto landed = weak_flight.lock();
          if (state == nullptr || landed == nullptr) return;
          std::lock_guard lock(state->mutex);
          state->Erase(key, landed.get());
        });
  return outcome;
}

absl::Status SingleFlight::WaitForOutcome(const Flight& flight, const ChunkKey& key, absl::Time deadline) {
  std::unique_lock lock(state_->mutex);
  ++state_->num_waiting;
  absl::Status status;
  while (!flight.outcome.has_value()) {
    if (deadline == absl::InfiniteFuture()) {
      state_->changed.wait(lock);
    } else if (clock_->Now() >= deadline) {
      status = Late(key);
      break;
    } else {
      state_->changed.wait_for(lock, absl::ToChronoNanoseconds(kPollInterval));
    }
  }
  --state_->num_waiting;
  return status;
}

void SingleFlight::Forget(const ChunkKey& key) {
  std::lock_guard lock(state_->mutex);
  state_->flights.erase(key);
}

int64_t SingleFlight::num_waiting() const {
  std::lock_guard lock(state_->mutex);
  return state_->num_waiting;
}

}  // namespace cacheclip
