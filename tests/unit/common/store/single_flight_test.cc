#include "common/store/single_flight.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/poll.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

class SingleFlightTest : public testing::Test {
 protected:
  absl::StatusOr<StoreHit> Hit(std::shared_ptr<ChunkArrival> arrival = nullptr) {
    return StoreHit{chunk_, Tier::kRedis, std::move(arrival)};
  }
  // A fetch that counts, and waits until the gate opens.
  absl::StatusOr<StoreHit> SlowFetch(const absl::StatusOr<StoreHit>& outcome) {
    ++num_fetches_;
    while (closed_) std::this_thread::yield();
    return outcome;
  }
  absl::StatusOr<StoreHit> Do(const GetOptions& options, const absl::StatusOr<StoreHit>& outcome) {
    return flights_.Do(chunk_->key(), options, [&] { return SlowFetch(outcome); });
  }

  FakeClock clock_;
  SingleFlight flights_{&clock_};
  const std::shared_ptr<const EncodedChunk> chunk_ = MakeTestChunk(1);
  std::atomic<int> num_fetches_{0};
  std::atomic<bool> closed_{false};
};

TEST_F(SingleFlightTest, AHundredCallersOneFetch) {
  closed_ = true;
  std::atomic<int> num_hits{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 100; ++i) callers.emplace_back([&] { num_hits += Do({}, Hit()).ok() ? 1 : 0; });
  ASSERT_TRUE(PollUntil([&] { return flights_.num_waiting() == 99; }));
  closed_ = false;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(num_hits, 100);
  EXPECT_EQ(num_fetches_, 1);
}

TEST_F(SingleFlightTest, ACallerWithAnEarlierDeadlineLeavesAlone) {
  closed_ = true;
  std::thread leader([&] { EXPECT_TRUE(Do({}, Hit()).ok()); });
  ASSERT_TRUE(PollUntil([&] { return num_fetches_ == 1; }));
  absl::Status status;
  std::thread hasty([&] { status = Do({.deadline = clock_.Now() + absl::Seconds(1)}, Hit()).status(); });
  ASSERT_TRUE(PollUntil([&] { return flights_.num_waiting() == 1; }));
  clock_.Advance(absl::Seconds(2));
  hasty.join();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  closed_ = false;
  leader.join();
  EXPECT_EQ(num_fetches_, 1);
}

TEST_F(SingleFlightTest, ALateLeaderDoesNotFailThoseWithTime) {
  closed_ = true;
  std::thread leader([&] { EXPECT_FALSE(Do({}, absl::DeadlineExceededError("mine")).ok()); });
  ASSERT_TRUE(PollUntil([&] { return num_fetches_ == 1; }));
  std::thread patient([&] { EXPECT_TRUE(Do({}, Hit()).ok()); });
  ASSERT_TRUE(PollUntil([&] { return flights_.num_waiting() == 1; }));
  closed_ = false;
  leader.join();
  patient.join();
  EXPECT_EQ(num_fetches_, 2);
}

TEST_F(SingleFlightTest, AMissOfOneWhoAvoidedATierIsItsOwn) {
  closed_ = true;
  std::thread picky([&] {
    EXPECT_TRUE(absl::IsNotFound(Do({.avoid = {Tier::kRedis}}, absl::NotFoundError("none")).status()));
  });
  ASSERT_TRUE(PollUntil([&] { return num_fetches_ == 1; }));
  std::thread other([&] { EXPECT_TRUE(Do({}, Hit()).ok()); });
  ASSERT_TRUE(PollUntil([&] { return flights_.num_waiting() == 1; }));
  closed_ = false;
  picky.join();
  other.join();
  EXPECT_EQ(num_fetches_, 2);
}

TEST_F(SingleFlightTest, ErrorsAreShared) {
  EXPECT_TRUE(absl::IsUnavailable(Do({}, absl::UnavailableError("down")).status()));
  EXPECT_TRUE(Do({}, Hit()).ok()) << "but not kept";
}

TEST_F(SingleFlightTest, AnArrivingChunkIsSharedUntilItIsComplete) {
  const auto arrival = std::make_shared<ChunkArrival>(2);
  const GetOptions accepts{.accept_arriving = true};
  ASSERT_TRUE(Do(accepts, Hit(arrival)).ok());
  const auto second = Do(accepts, absl::InternalError("fetched twice"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->arrival, arrival);
  std::thread whole([&] {
    const auto hit = Do({}, absl::InternalError("fetched twice"));
    ASSERT_TRUE(hit.ok()) << hit.status();
    EXPECT_EQ(hit->arrival, nullptr) << "it waited for the last layer";
  });
  ASSERT_TRUE(PollUntil([&] { return arrival->num_readers() == 3; }));
  arrival->Publish(1);
  arrival->Publish(2);
  whole.join();
  EXPECT_TRUE(Do(accepts, Hit()).ok());
  EXPECT_EQ(num_fetches_, 2) << "complete: no longer under way";
}

TEST_F(SingleFlightTest, AnAbandonedArrivalIsFetchedAnew) {
  const auto arrival = std::make_shared<ChunkArrival>(2);
  const GetOptions accepts{.accept_arriving = true};
  ASSERT_TRUE(Do(accepts, Hit(arrival)).ok());
  ASSERT_TRUE(Do(accepts, Hit()).ok());
  arrival->Abandon();
  EXPECT_FALSE(arrival->IsAbandoned()) << "the second reader goes on";
  arrival->Abandon();
  EXPECT_TRUE(arrival->IsAbandoned());
  ASSERT_TRUE(Do(accepts, Hit()).ok());
  EXPECT_EQ(num_fetches_, 2);
}

TEST_F(SingleFlightTest, AnArrivalThatFailsIsFetchedAnewByWhoWantsAllOfIt) {
  const auto arrival = std::make_shared<ChunkArrival>(2);
  ASSERT_TRUE(Do({.accept_arriving = true}, Hit(arrival)).ok());
  std::thread whole([&] { EXPECT_TRUE(Do({}, Hit()).ok()); });
  ASSERT_TRUE(PollUntil([&] { return arrival->num_readers() == 2; }));
  arrival->Fail(absl::DataLossError("slice 3"));
  whole.join();
  EXPECT_EQ(num_fetches_, 2);
}

TEST_F(SingleFlightTest, AfterADeletionCallersFetchAnew) {
  const auto arrival = std::make_shared<ChunkArrival>(2);
  ASSERT_TRUE(Do({.accept_arriving = true}, Hit(arrival)).ok());
  flights_.Forget(chunk_->key());
  EXPECT_TRUE(absl::IsNotFound(Do({}, absl::NotFoundError("deleted")).status()));
  arrival->Publish(2);
}

}  // namespace
}  // namespace cacheclip
