#include "common/engine/admission_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "tests/support/poll.h"

namespace cacheclip {
namespace {

AdmissionQueue::Ticket Take(AdmissionQueue& queue, int64_t bytes) {
  return std::move(queue.Admit(bytes, CancellationToken())).value();
}

TEST(AdmissionQueue, ReservesBytesUntilTheTicketDies) {
  AdmissionQueue queue({.max_waiting = 1, .max_running = 2, .max_kv_bytes = 100});
  {
    const auto first = Take(queue, 60);
    const auto second = Take(queue, 40);
    EXPECT_EQ(queue.load().kv_bytes_reserved, 100);
    EXPECT_EQ(queue.load().num_running, 2);
  }
  EXPECT_EQ(queue.load().kv_bytes_reserved, 0);
  EXPECT_EQ(queue.load().num_running, 0);
}

TEST(AdmissionQueue, RefusesWhatCouldNeverFitNamingTheLimit) {
  AdmissionQueue queue({.max_kv_bytes = 100});
  const auto status = queue.Admit(101, CancellationToken()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("max_kv_bytes is 100"), absl::string_view::npos) << status;
}

TEST(AdmissionQueue, RefusesWhenTheLineIsFullNamingTheLimit) {
  AdmissionQueue queue({.max_waiting = 0, .max_running = 1, .max_kv_bytes = 100});
  const auto running = Take(queue, 1);
  const auto status = queue.Admit(1, CancellationToken()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("max_waiting_requests is 0"), absl::string_view::npos) << status;
}

TEST(AdmissionQueue, AdmitsInOrderAndNeverLetsASmallOnePass) {
  AdmissionQueue queue({.max_waiting = 2, .max_running = 8, .max_kv_bytes = 100});
  auto running = std::make_unique<AdmissionQueue::Ticket>(Take(queue, 60));
  std::atomic<int> order{0}, large_place{0}, small_place{0};
  std::thread large([&] {
    const auto ticket = Take(queue, 100);
    large_place = ++order;
  });
  ASSERT_TRUE(PollUntil([&] { return queue.load().num_waiting == 1; }));
  std::thread small([&] {
    const auto ticket = Take(queue, 1);
    small_place = ++order;
  });
  ASSERT_TRUE(
      PollUntil([&] { return queue.load().num_waiting == 2; }));  // 1 byte would fit, and waits its turn
  EXPECT_EQ(order, 0);
  running.reset();
  large.join();
  small.join();
  EXPECT_EQ(large_place, 1);
  EXPECT_EQ(small_place, 2);
}

TEST(AdmissionQueue, CancelledWhileWaitingLeavesTheLine) {
  AdmissionQueue queue({.max_waiting = 1, .max_running = 1, .max_kv_bytes = 100});
  const auto running = Take(queue, 1);
  CancellationToken cancellation;
  absl::Status status;
  std::thread waiting([&] { status = queue.Admit(1, cancellation).status(); });
  ASSERT_TRUE(PollUntil([&] { return queue.load().num_waiting == 1; }));
  cancellation.Cancel();
  waiting.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(queue.load().num_waiting, 0);
  EXPECT_EQ(queue.load().kv_bytes_reserved, 1);
}

TEST(AdmissionQueue, ADeadlineEndsTheWait) {
  AdmissionQueue queue({.max_waiting = 1, .max_running = 1, .max_kv_bytes = 100});
  const auto running = Take(queue, 1);
  FakeClock clock;
  const CancellationToken cancellation(clock.Now() + absl::Seconds(1), {}, &clock);
  absl::Status status;
  std::thread waiting([&] { status = queue.Admit(1, cancellation).status(); });
  ASSERT_TRUE(PollUntil([&] { return queue.load().num_waiting == 1; }));
  clock.Advance(absl::Seconds(2));
  waiting.join();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

}  // namespace
}  // namespace cacheclip
