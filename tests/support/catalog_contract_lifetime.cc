// Part of the catalogue contract (catalog_contract.h): references, expiry, pins, trimming.
#include "tests/support/catalog_contract.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_P(CatalogContract, BytesGoWithTheLastReference) {
  Put("a", {1, 2});
  Put("b", {2, 3});
  EXPECT_THAT(catalog_->DeleteDocument("docs", "a").value(), ElementsAre(TestChunkId(1)));
  EXPECT_FALSE(Resolves(1));
  EXPECT_TRUE(Resolves(2));
  EXPECT_THAT(catalog_->DeleteDocument("docs", "b").value(), ElementsAre(TestChunkId(2), TestChunkId(3)));
  EXPECT_FALSE(Resolves(2));
}

TEST_P(CatalogContract, ChunkUsedTwiceByOneDocumentIsReleasedOnce) {
  Put("a", {1, 1});
  EXPECT_THAT(catalog_->DeleteDocument("docs", "a").value(), ElementsAre(TestChunkId(1)));
}

TEST_P(CatalogContract, ReplacingReleasesWhatTheNewVersionDropped) {
  Put("a", {1, 2, 3});
  EXPECT_THAT(Put("a", {3, 4}), ElementsAre(TestChunkId(1), TestChunkId(2)));
  EXPECT_THAT(Put("a", {3, 4}), IsEmpty());
  EXPECT_TRUE(Resolves(3));
  EXPECT_TRUE(Resolves(4));
}

TEST_P(CatalogContract, ChunkHeldByAnotherNamespaceIsNotReleased) {
  Put("a", {1});
  Put(MakeTestDocument("other", "a", {1}));
  EXPECT_THAT(catalog_->DeleteDocument("docs", "a").value(), IsEmpty());
  EXPECT_FALSE(Resolves(1, "docs"));
  EXPECT_TRUE(Resolves(1, "other"));
  EXPECT_THAT(catalog_->DeleteDocument("other", "a").value(), ElementsAre(TestChunkId(1)));
}

TEST_P(CatalogContract, DeletingTwiceIsNotFound) {
  Put("a", {1});
  ASSERT_TRUE(catalog_->DeleteDocument("docs", "a").ok());
  const absl::Status status = catalog_->DeleteDocument("docs", "a").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FieldOf(status), "document_id");
}

TEST_P(CatalogContract, ExpiredDocumentIsGoneAtOnceAndSweptLater) {
  TestDocument test = MakeTestDocument("docs", "short", {1, 2});
  test.document.expire_time = clock_.Now() + absl::Minutes(10);
  Put(test);
  Put("long", {2});
  clock_.Advance(absl::Minutes(10) - absl::Microseconds(1));
  EXPECT_TRUE(Resolves(1));
  clock_.Advance(absl::Microseconds(1));
  EXPECT_FALSE(Resolves(1));
  EXPECT_TRUE(Resolves(2));  // a living document uses it too
  EXPECT_EQ(catalog_->GetDocument("docs", "short").status().code(), absl::StatusCode::kNotFound);
  std::string token;
  EXPECT_THAT(ListedIds(0, &token), ElementsAre("long"));

  const Removal removal = catalog_->SweepExpired().value();
  EXPECT_EQ(removal.num_documents, 1);
  EXPECT_THAT(removal.released_chunk_ids, ElementsAre(TestChunkId(1)));
  EXPECT_EQ(catalog_->SweepExpired().value().num_documents, 0);
}

TEST_P(CatalogContract, PuttingAnExpiredDocumentAgainStartsAnew) {
  TestDocument test = MakeTestDocument("docs", "d", {1});
  test.document.expire_time = clock_.Now() + absl::Minutes(1);
  Put(test);
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Put("d", {2}), ElementsAre(TestChunkId(1)));
  EXPECT_EQ(catalog_->GetDocument("docs", "d").value().created_time, clock_.Now());
}

TEST_P(CatalogContract, PinsHaveAnOwnerAndAnExpiry) {
  Put("d", {1, 2});
  const std::vector<std::string> ids = {TestChunkId(1), TestChunkId(2)};
  ASSERT_TRUE(catalog_->PinChunks("docs", ids, "job", clock_.Now() + absl::Hours(1)).ok());
  ASSERT_TRUE(
      catalog_->PinChunks("docs", std::span(ids).first(1), "other job", clock_.Now() + absl::Hours(2)).ok());
  EXPECT_EQ(catalog_->ListPins("docs", 0, "").value().pins.size(), 3u);
  EXPECT_THAT(catalog_->ListPins("other", 0, "").value().pins, IsEmpty());

  clock_.Advance(absl::Hours(1));
  const PinPage page = catalog_->ListPins("docs", 0, "").value();
  ASSERT_EQ(page.pins.size(), 1u);
  EXPECT_EQ(page.pins[0].owner, "other job");
  EXPECT_EQ(page.pins[0].chunk_id, TestChunkId(1));
  EXPECT_EQ(page.pins[0].expire_time, clock_.Now() + absl::Hours(1));
  ASSERT_TRUE(catalog_->SweepExpired().ok());
  EXPECT_EQ(catalog_->UnpinChunks("docs", ids, "job").value(), 0);
  EXPECT_EQ(catalog_->UnpinChunks("docs", ids, "other job").value(), 1);
  EXPECT_THAT(catalog_->ListPins("docs", 0, "").value().pins, IsEmpty());
}

TEST_P(CatalogContract, PinningAgainMovesTheExpiry) {
  Put("d", {1});
  const std::vector<std::string> ids = {TestChunkId(1)};
  ASSERT_TRUE(catalog_->PinChunks("docs", ids, "job", clock_.Now() + absl::Hours(1)).ok());
  ASSERT_TRUE(catalog_->PinChunks("docs", ids, "job", clock_.Now() + absl::Hours(3)).ok());
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(catalog_->ListPins("docs", 0, "").value().pins.size(), 1u);
}

TEST_P(CatalogContract, PinningAnUnknownChunkPinsNothing) {
  Put("d", {1});
  const std::vector<std::string> ids = {TestChunkId(1), TestChunkId(9)};
  const absl::Status status = catalog_->PinChunks("docs", ids, "job", clock_.Now() + absl::Hours(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FieldOf(status), "chunk_ids");
  EXPECT_THAT(catalog_->ListPins("docs", 0, "").value().pins, IsEmpty());
  EXPECT_EQ(FieldOf(catalog_->PinChunks("docs", ids, "", clock_.Now())), "owner");
}

TEST_P(CatalogContract, PinPagesCoverEveryPinOnce) {
  Put("d", {1, 2});
  const std::vector<std::string> ids = {TestChunkId(1), TestChunkId(2)};
  for (const char* owner : {"b", "a"})
    ASSERT_TRUE(catalog_->PinChunks("docs", ids, owner, clock_.Now() + absl::Hours(1)).ok());
  std::vector<std::string> seen;
  std::string token;
  do {
    const PinPage page = catalog_->ListPins("docs", 3, token).value();
    for (const Pin& pin : page.pins) seen.push_back(pin.chunk_id.substr(7, 1) + pin.owner);
    token = page.next_page_token;
  } while (!token.empty());
  EXPECT_THAT(seen, ElementsAre("1a", "1b", "2a", "2b"));
}

TEST_P(CatalogContract, PinPageGoesOnBehindExpiredAndDroppedPins) {
  Put("d", {1, 2, 3});
  const std::vector<std::string> ids = {TestChunkId(1), TestChunkId(2), TestChunkId(3)};
  ASSERT_TRUE(catalog_->PinChunks("docs", ids, "job", clock_.Now() + absl::Hours(3)).ok());
  ASSERT_TRUE(catalog_->PinChunks("docs", ids, "early", clock_.Now() + absl::Hours(1)).ok());
  clock_.Advance(absl::Hours(2));
  const PinPage first = catalog_->ListPins("docs", 1, "").value();
  ASSERT_EQ(first.pins.size(), 1u);
  EXPECT_EQ(first.pins[0].chunk_id, TestChunkId(1));
  EXPECT_EQ(catalog_->UnpinChunks("docs", std::span(ids).first(2), "job").value(), 2);
  const PinPage second = catalog_->ListPins("docs", 1, first.next_page_token).value();
  ASSERT_EQ(second.pins.size(), 1u);
  EXPECT_EQ(second.pins[0].chunk_id, TestChunkId(3));
  EXPECT_EQ(second.next_page_token, "");
}

TEST_P(CatalogContract, WhatIsNoChunkIdIsNeitherPinnedNorUnpinned) {
  Put("d", {1});
  const std::vector<std::string> ids = {TestChunkId(1)};
  ASSERT_TRUE(catalog_->PinChunks("docs", ids, "job", clock_.Now() + absl::Hours(1)).ok());
  const std::vector<std::string> strange = {TestChunkId(1), TestChunkId(1) + "j", ""};
  const absl::Status status = catalog_->PinChunks("docs", strange, "me", clock_.Now() + absl::Hours(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FieldOf(status), "chunk_ids");
  EXPECT_EQ(catalog_->UnpinChunks("docs", std::span(strange).last(2), "ob").value(), 0);
  EXPECT_EQ(catalog_->ListPins("docs", 0, "").value().pins.size(), 1u);
}

TEST_P(CatalogContract, DeletingWinsOverPins) {
  Put("d", {1});
  const std::vector<std::string> ids = {TestChunkId(1)};
  ASSERT_TRUE(catalog_->PinChunks("docs", ids, "job", clock_.Now() + absl::Hours(1)).ok());
  EXPECT_THAT(catalog_->DeleteDocument("docs", "d").value(), ElementsAre(TestChunkId(1)));
  EXPECT_THAT(catalog_->ListPins("docs", 0, "").value().pins, IsEmpty());
}

TEST_P(CatalogContract, TrimRemovesByTimeRangeAndWriterVersion) {
  const absl::Time start = clock_.Now();
  Put("old", {1});
  clock_.Advance(absl::Hours(1));
  TestDocument bad = MakeTestDocument("docs", "bad", {2});
  bad.document.writer_version = "1.1-broken";
  Put(bad);
  clock_.Advance(absl::Hours(1));
  Put("new", {3});
  Put(MakeTestDocument("other", "new", {4}));

  EXPECT_THAT(catalog_->TrimDocuments({.writer_version = "1.1-broken"}).value().released_chunk_ids,
              ElementsAre(TestChunkId(2)));
  const TrimFilter first_hour{
      .namespace_name = "docs", .updated_from = start, .updated_until = start + absl::Hours(1)};
  EXPECT_THAT(catalog_->TrimDocuments(first_hour).value().released_chunk_ids, ElementsAre(TestChunkId(1)));
  const Removal rest = catalog_->TrimDocuments({.updated_from = start + absl::Hours(2)}).value();
  EXPECT_EQ(rest.num_documents, 2);
  EXPECT_THAT(rest.released_chunk_ids, ElementsAre(TestChunkId(3), TestChunkId(4)));
}

TEST_P(CatalogContract, TrimWithoutAConditionIsRefused) {
  EXPECT_EQ(FieldOf(catalog_->TrimDocuments({}).status()), "filter");
  EXPECT_EQ(FieldOf(catalog_->TrimDocuments({.namespace_name = "docs"}).status()), "filter");
  EXPECT_EQ(FieldOf(catalog_->TrimDocuments({.namespace_name = "nobody", .writer_version = "1"}).status()),
            "namespace");
}

TEST_P(CatalogContract, VerifyCountsASoundCatalogueWhateverWasDoneToIt) {
  Put("a", {1, 2, 1});
  Put("b", {2, 3});
  Put("b", {3, 4});
  Put(MakeTestDocument("other", "a", {2}));
  Put("c", {5});
  ASSERT_TRUE(catalog_->DeleteDocument("docs", "c").ok());
  const CatalogCheck check = catalog_->Verify().value();
  EXPECT_EQ(check.num_problems, 0) << ::testing::PrintToString(check.problems);
  EXPECT_EQ(check.num_namespaces, 2);
  EXPECT_EQ(check.num_documents, 3);
  EXPECT_EQ(check.num_chunks, 5);
  EXPECT_EQ(check.num_holds, 5);
}

TEST_P(CatalogContract, RepairingASoundCatalogueOnlySweeps) {
  Put("a", {1});
  TestDocument test = MakeTestDocument("docs", "b", {1, 2});
  test.document.expire_time = clock_.Now() + absl::Hours(1);
  Put(test);
  EXPECT_THAT(catalog_->Repair()->released_chunk_ids, IsEmpty());
  clock_.Advance(absl::Hours(2));
  EXPECT_THAT(catalog_->Repair()->released_chunk_ids, ElementsAre(TestChunkId(2)));
  EXPECT_TRUE(Resolves(1));
  EXPECT_EQ(catalog_->Verify()->num_problems, 0);
}

}  // namespace
}  // namespace cacheclip
