// The object tier under many faults at once; samples of these run with the unit tests.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/kv/chunk_format.h"
#include "common/store/object/object_chunk_store.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/object_harness.h"

namespace cacheclip {
namespace {

// Every fourth request or so fails.
Fault RandomFault(std::mt19937& random) {
  switch (random() % 20) {
    case 0:
      return Fault::Respond(random() % 2 == 0 ? 500 : 503);
    case 1:
      return Fault::Reset();
    case 2:
      return Fault::Cut(static_cast<int64_t>(random() % 4096));
    case 3:
      return Fault::Flip(static_cast<int64_t>(random() % 100'000));
    case 4:
      return Fault::Lose();
    case 5:
      return random() % 16 == 0 ? Fault::Stall() : Fault::Pass();
    default:
      return Fault::Pass();
  }
}

class ObjectSoakTest : public testing::Test {
 protected:
  void SetUp() override {
    CACHECLIP_REQUIRE_S3_SERVER();
    bucket_ = S3Server::Plain().MakeBucket();
    proxy_ = std::make_unique<FaultProxy>(S3Server::Plain().address());
  }
  std::string bucket_;
  std::unique_ptr<FaultProxy> proxy_;
};

TEST_F(ObjectSoakTest, ThousandsOfRequestsUnderRandomFaultsServeTheChunkOrSayWhyNot) {
  ObjectChunkStoreOptions options;
  options.first_read_bytes = 2048;
  options.range_bytes = 8192;
  S3ObjectClientOptions impatient = TestS3Options(proxy_->endpoint(), bucket_);
  impatient.http.stall_timeout = absl::Seconds(1);
  const auto store = ObjectChunkStore::Create(S3ObjectClient::Create(impatient).value(), options).value();
  std::mt19937 proxy_random(5);  // one thread at a time decides
  proxy_->Decide([&](const ProxyRequest&) { return RandomFault(proxy_random); });
  std::atomic<int> num_served{0}, num_wrong{0}, num_untyped{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, thread] {
      std::mt19937 random(thread);
      for (int round = 0; round < 500; ++round) {
        const auto chunk = MakeTestChunk(TestChunkOptions{.seed = static_cast<int32_t>(1 + random() % 8),
                                                          .num_tokens = 64,
                                                          .shape = {12, 2, 16, KvDtype::kBf16}});
        if (random() % 4 == 0) store->Put(chunk).IgnoreError();
        if (random() % 50 == 0) store->Delete(chunk->key()).IgnoreError();
        const auto hit = store->Get(chunk->key(), {.deadline = absl::Now() + absl::Milliseconds(500),
                                                   .accept_arriving = random() % 2 == 0});
        absl::Status status = hit.status();
        if (hit.ok() && hit->arrival != nullptr)
          status = hit->arrival->WaitForAll(absl::Now() + absl::Seconds(60));
        if (status.ok()) {
          ++num_served;
          if (!std::ranges::equal(hit->chunk->image(), chunk->image())) ++num_wrong;
        } else if (!absl::IsNotFound(status) && !absl::IsDataLoss(status) && !absl::IsUnavailable(status) &&
                   !absl::IsDeadlineExceeded(status)) {
          ++num_untyped;
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(num_served, 500);
  EXPECT_EQ(num_wrong, 0);
  EXPECT_EQ(num_untyped, 0);
}

TEST_F(ObjectSoakTest, AWriterKilledAtFiftyRandomRequestsLeavesAWholeObjectOrNone) {
  const auto chunk =
      MakeTestChunk(TestChunkOptions{.seed = 1, .num_tokens = 460, .shape = {24, 4, 64, KvDtype::kBf16}});
  ASSERT_GT(chunk->total_bytes(), 2 * kMinS3PartBytes) << "five requests";
  std::mt19937 random(3);
  int num_killed = 0, num_visible = 0;
  for (int round = 0; round < 50; ++round) {
    const std::string name = "chunk-" + std::to_string(round);
    const int kill_at = static_cast<int>(proxy_->requests().size() + random() % 7);
    const bool is_passed_on = random() % 2 == 0;
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      char go = 0;
      if (::read(ready[0], &go, 1) != 1) ::_exit(2);
      S3ObjectClientOptions options = TestS3Options(proxy_->endpoint(), bucket_);
      options.multipart_bytes = options.part_bytes = kMinS3PartBytes;
      const auto client = S3ObjectClient::Create(options).value();
      ::_exit(client->Put(name, chunk->image(), PutMode::kIfAbsent, NoDeadline()).ok() ? 0 : 1);
    }
    proxy_->Decide([=](const ProxyRequest& request) {
      if (request.number < kill_at) return Fault::Pass();
      ::kill(child, SIGKILL);
      return is_passed_on ? Fault::Pass() : Fault::Reset();
    });
    ASSERT_EQ(::write(ready[1], "x", 1), 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(ready[0]);
    ::close(ready[1]);
    num_killed += WIFSIGNALED(status);
    const auto direct = S3ObjectClient::Create(TestS3Options(S3Server::Plain().endpoint(), bucket_)).value();
    std::vector<std::byte> image(chunk->total_bytes() + 1);
    const auto read = direct->Read(name, 0, image, NoDeadline());
    if (absl::IsNotFound(read.status())) continue;
    ASSERT_TRUE(read.ok()) << read.status();
    image.resize(read->num_bytes);
    EXPECT_TRUE(ParseChunk(image, nullptr, PayloadCheck::kVerify).ok()) << round;
    ++num_visible;
  }
  EXPECT_GT(num_killed, 20);
  EXPECT_LT(num_visible, 50);
}

}  // namespace
}  // namespace cacheclip
