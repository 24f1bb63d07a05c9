#include "services/ingestion/ingestion_backend.h"

#include <gtest/gtest.h>

#include "common/kv/chunk_key.h"
#include "tests/support/engine_harness.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

// A server on a fake clock and a document of it that expires after an hour.
class Sweeping : public testing::Test {
 protected:
  Sweeping() {
    SourceDocument document{.document_id = "a", .text = "The tower was sold in 1950."};
    document.expire_time = clock_.Now() + absl::Hours(1);
    const DocumentResult result =
        backend_.Ingest(document, server_.ingest_options, CancellationToken(), /*progress=*/{});
    EXPECT_TRUE(result.status.ok()) << result.status;
    key_ = ChunkKey::FromHex(result.chunks[0].chunk_id).value();
  }
  bool IsStored() { return server_.store.Contains(key_).value(); }

  FakeClock clock_;
  EngineHarness server_{TinyModel(), &clock_};
  IngestionBackend backend_{&server_.contexts, /*selector=*/nullptr};
  ChunkKey key_;
};

TEST_F(Sweeping, GoesOnAfterStartUp) {
  EXPECT_TRUE(backend_.SweepIfDue()) << "at start-up";
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(backend_.SweepIfDue());
  EXPECT_FALSE(IsStored());
  clock_.Advance(kSweepInterval / 2);
  EXPECT_FALSE(backend_.SweepIfDue());
}

TEST_F(Sweeping, SeveralReplicasMayDoSo) {
  IngestionBackend replica(&server_.contexts, /*selector=*/nullptr);
  clock_.Advance(absl::Hours(2));
  EXPECT_TRUE(backend_.SweepIfDue());
  EXPECT_TRUE(replica.SweepIfDue());
  EXPECT_FALSE(IsStored());
  EXPECT_EQ(server_.catalog.Verify()->num_problems, 0);
}

TEST_F(Sweeping, ACatalogueThatIsAwayIsAskedAgain) {
  clock_.Advance(absl::Hours(2));
  server_.catalog.is_down = true;
  EXPECT_TRUE(backend_.SweepIfDue());
  EXPECT_TRUE(IsStored());
  server_.catalog.is_down = false;
  clock_.Advance(kSweepInterval);
  EXPECT_TRUE(backend_.SweepIfDue());
  EXPECT_FALSE(IsStored());
}

TEST_F(Sweeping, NeedsNobodyToAskForIt) {
  backend_.KeepSwept();
  clock_.Advance(absl::Hours(2));
  EXPECT_TRUE(PollUntil([&] { return !IsStored(); }));
}

}  // namespace
}  // namespace cacheclip
