#include "common/store/chunk_arrival.h"

#include <gtest/gtest.h>

#include <thread>

namespace cacheclip {
namespace {

const absl::Time kNow = absl::InfinitePast();

TEST(ChunkArrival, GivesLayersAsTheyCome) {
  ChunkArrival arrival(3);
  EXPECT_EQ(arrival.WaitForLayer(0, kNow).code(), absl::StatusCode::kDeadlineExceeded);
  arrival.Publish(2);
  EXPECT_TRUE(arrival.WaitForLayer(1, kNow).ok());
  EXPECT_FALSE(arrival.WaitForLayer(2, kNow).ok());
  arrival.Publish(3);
  EXPECT_TRUE(arrival.WaitForAll(kNow).ok());
}

TEST(ChunkArrival, NeverGoesBack) {
  ChunkArrival arrival(3);
  arrival.Publish(2);
  arrival.Publish(1);
  EXPECT_TRUE(arrival.WaitForLayer(1, kNow).ok());
}

TEST(ChunkArrival, AFailureReachesThoseWhoWaitForWhatIsMissing) {
  ChunkArrival arrival(4);
  arrival.Publish(1);
  arrival.Fail(absl::UnavailableError("gone"));
  arrival.Fail(absl::DataLossError("later"));
  EXPECT_TRUE(arrival.WaitForLayer(0, absl::InfiniteFuture()).ok());
  EXPECT_EQ(arrival.WaitForLayer(1, absl::InfiniteFuture()), absl::UnavailableError("gone"));
}

TEST(ChunkArrival, AFailureAfterTheLastLayerChangesNothing) {
  ChunkArrival arrival(1);
  arrival.Publish(1);
  arrival.Fail(absl::UnavailableError("connection closed"));
  EXPECT_TRUE(arrival.WaitForAll(kNow).ok());
}

TEST(ChunkArrival, WakesAReaderOnAnotherThread) {
  ChunkArrival arrival(2);
  absl::Status status;
  std::thread reader([&] { status = arrival.WaitForAll(absl::InfiniteFuture()); });
  arrival.Publish(1);
  arrival.Publish(2);
  reader.join();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(ChunkArrival, TheWriterLearnsThatNobodyWaits) {
  ChunkArrival arrival(2);
  EXPECT_FALSE(arrival.IsAbandoned());
  arrival.Abandon();
  EXPECT_TRUE(arrival.IsAbandoned());
}

}  // namespace
}  // namespace cacheclip
