#include "common/store/chunk_arrival.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

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

TEST(ChunkArrival, GoesOnWhileOneReaderWaits) {
  ChunkArrival arrival(2);
  ASSERT_TRUE(arrival.Share());
  arrival.Abandon();
  EXPECT_FALSE(arrival.IsAbandoned());
  arrival.Abandon();
  EXPECT_TRUE(arrival.IsAbandoned());
  EXPECT_FALSE(arrival.Share()) << "the writer may have stopped";
}

TEST(ChunkArrival, SaysOnceHowItEnded) {
  ChunkArrival whole(2), broken(2);
  std::vector<absl::Status> ends;
  const auto note = [&](const absl::Status& status) { ends.push_back(status); };
  whole.OnEnd(note);
  broken.OnEnd(note);
  whole.Publish(1);
  EXPECT_TRUE(ends.empty());
  whole.Publish(2);
  whole.Publish(2);
  whole.Fail(absl::UnavailableError("too late"));
  broken.Fail(absl::DataLossError("slice 7"));
  broken.Fail(absl::UnavailableError("again"));
  broken.OnEnd(note);
  ASSERT_EQ(ends.size(), 3u);
  EXPECT_TRUE(ends[0].ok());
  EXPECT_TRUE(absl::IsDataLoss(ends[1]));
  EXPECT_TRUE(absl::IsDataLoss(ends[2])) << "it had ended when asked";
}

}  // namespace
}  // namespace cacheclip
