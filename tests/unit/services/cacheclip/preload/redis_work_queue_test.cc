#include "services/cacheclip/preload/redis_work_queue.h"

#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/support/poll.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

using Answer = WorkQueue::Answer;

class RedisWorkQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_NEEDS_REDIS();
    server_ = std::make_unique<RedisServer>();
  }
  absl::StatusOr<std::unique_ptr<RedisWorkQueue>> TryOpen(RedisWorkQueueOptions options) {
    options.client = server_->MakeClient();
    return RedisWorkQueue::Open(std::move(options));
  }
  std::unique_ptr<RedisWorkQueue> Open(int64_t total, absl::Duration lease = absl::Minutes(10)) {
    return TryOpen({.job = "nightly", .identity = "same", .total = total, .lease = lease}).value();
  }
  std::unique_ptr<RedisServer> server_;
};

TEST_F(RedisWorkQueueTest, WorkersShareTheItemsAndFinishTogether) {
  std::mutex mutex;
  std::multiset<int64_t> seen;
  std::vector<std::thread> workers;
  for (int i = 0; i < 3; ++i) {
    workers.emplace_back([&] {
      const auto queue = Open(100);
      while (true) {
        const auto claim = queue->Next();
        ASSERT_TRUE(claim.ok()) << claim.status();
        if (claim->answer == Answer::kFinished) return;
        if (claim->answer == Answer::kWait) continue;
        {
          std::lock_guard lock(mutex);
          seen.insert(claim->index);
        }
        ASSERT_TRUE(queue->Finish(claim->index, "").ok());
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(seen.size(), 100);
  EXPECT_EQ(std::set<int64_t>(seen.begin(), seen.end()).size(), 100);
  EXPECT_EQ(Open(100)->State()->done, 100);
}

TEST_F(RedisWorkQueueTest, ADeadWorkersItemGoesToAnother) {
  const auto dead = Open(1, absl::Milliseconds(1));
  ASSERT_EQ(dead->Next()->index, 0);
  const auto alive = Open(1);
  EXPECT_TRUE(PollUntil([&] { return alive->Next()->answer == Answer::kItem; }));
  ASSERT_TRUE(alive->Finish(0, "").ok());
  ASSERT_TRUE(dead->Finish(0, "").ok()) << "it was not dead after all";
  EXPECT_EQ(alive->State()->done, 1) << "counted once";
  EXPECT_EQ(alive->Next()->answer, Answer::kFinished);
}

TEST_F(RedisWorkQueueTest, OthersWaitForTheLastItemAndGetItWhenItIsGivenBack) {
  const auto first = Open(1), second = Open(1);
  ASSERT_EQ(first->Next()->index, 0);
  EXPECT_EQ(second->Next()->answer, Answer::kWait);
  ASSERT_TRUE(first->KeepAlive(0).ok());
  EXPECT_EQ(second->Next()->answer, Answer::kWait);
  ASSERT_TRUE(first->GiveBack(0).ok());
  EXPECT_TRUE(PollUntil([&] { return second->Next()->answer == Answer::kItem; }));
}

TEST_F(RedisWorkQueueTest, GoesOnWhereAStoppedJobWasAndTriesAgainWhatFailed) {
  {
    const auto queue = Open(3);
    ASSERT_EQ(queue->Next()->index, 0);
    ASSERT_TRUE(queue->Finish(0, "").ok());
    ASSERT_EQ(queue->Next()->index, 1);
    ASSERT_TRUE(queue->Finish(1, "disk full").ok());
    EXPECT_EQ(queue->State()->failed, 1);
  }
  const auto queue = Open(3);
  EXPECT_EQ(queue->State()->failed, 0);
  std::set<int64_t> left;
  for (auto claim = *queue->Next(); claim.answer == Answer::kItem; claim = *queue->Next()) {
    left.insert(claim.index);
    ASSERT_TRUE(queue->Finish(claim.index, "").ok());
  }
  EXPECT_EQ(left, (std::set<int64_t>{1, 2}));
}

TEST_F(RedisWorkQueueTest, AJobOverOtherDocumentsIsRefusedUnlessReset) {
  const auto queue = Open(3);
  ASSERT_EQ(queue->Next()->index, 0);
  const RedisWorkQueueOptions other{.job = "nightly", .identity = "other", .total = 5};
  EXPECT_EQ(TryOpen(other).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(FieldOf(TryOpen(other).status()), "job");
  RedisWorkQueueOptions reset = other;
  reset.reset = true;
  const auto anew = TryOpen(reset);
  ASSERT_TRUE(anew.ok()) << anew.status();
  EXPECT_EQ((*anew)->Next()->index, 0);
  EXPECT_EQ(queue->Next().status().code(), absl::StatusCode::kFailedPrecondition)
      << "its numbers are another job's";
  EXPECT_EQ(FieldOf(queue->Finish(0, "")), "job");
  EXPECT_EQ((*anew)->State()->done, 0);
}

TEST_F(RedisWorkQueueTest, AJobThatIsOverStartsAnewWhenItsDocumentsOrModelAreOthers) {
  const auto queue = Open(1);
  ASSERT_EQ(queue->Next()->index, 0);
  ASSERT_TRUE(queue->Finish(0, "").ok());
  EXPECT_EQ(Open(1)->Next()->answer, Answer::kFinished) << "the same again";
  const auto other = TryOpen({.job = "nightly", .identity = "other", .total = 2});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ((*other)->State()->done, 0);
  EXPECT_EQ((*other)->Next()->index, 0);
}

TEST_F(RedisWorkQueueTest, NamesABadJobName) {
  for (const std::string name :
       {std::string(), std::string("a b"), std::string("{x}"), std::string(129, 'a')})
    EXPECT_EQ(FieldOf(TryOpen({.job = name}).status()), "job") << name;
}

}  // namespace
}  // namespace cacheclip
