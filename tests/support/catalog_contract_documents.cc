// Part of the catalogue contract (catalog_contract.h): namespaces, prefixes, documents, look-ups, listing,
// refusals.
#include "tests/support/catalog_contract.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_P(CatalogContract, NamespaceIsPutOnceAndListedByName) {
  const Namespace first = catalog_->PutNamespace("alpha").value();
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(catalog_->PutNamespace("alpha").value().created_time, first.created_time);
  EXPECT_EQ(catalog_->GetNamespace("alpha").value().name, "alpha");
  const std::vector<Namespace> spaces = catalog_->ListNamespaces().value();
  std::vector<std::string> names;
  for (const Namespace& space : spaces) names.push_back(space.name);
  EXPECT_THAT(names, ElementsAre("alpha", "docs", "other"));
}

TEST_P(CatalogContract, BadNamespaceNamesAreRefusedByField) {
  for (const std::string name : {"", "Docs", "a b", "a/b", "\xff", "a'b"}) {
    EXPECT_EQ(catalog_->PutNamespace(name).status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(FieldOf(catalog_->PutNamespace(name).status()), "namespace");
  }
  EXPECT_TRUE(catalog_->PutNamespace(std::string(64, 'a')).ok());
  EXPECT_FALSE(catalog_->PutNamespace(std::string(65, 'a')).ok());
}

TEST_P(CatalogContract, UnknownNamespaceIsNotFoundEverywhere) {
  const std::vector<std::string> ids = {TestChunkId(1)};
  for (const absl::Status& status :
       {catalog_->GetNamespace("nobody").status(), catalog_->PutPrefix(TestPrefix("nobody")),
        catalog_->ListPrefixes("nobody").status(), catalog_->GetDocument("nobody", "d").status(),
        catalog_->ListDocuments("nobody", 0, "").status(), catalog_->DeleteDocument("nobody", "d").status(),
        catalog_->ResolveChunks("nobody", ids).status(), catalog_->ListPins("nobody", 0, "").status(),
        catalog_->PinChunks("nobody", ids, "me", clock_.Now()),
        catalog_->UnpinChunks("nobody", ids, "me").status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_EQ(FieldOf(status), "namespace");
  }
}

TEST_P(CatalogContract, PrefixComesBackAsItWasPut) {
  const Prefix put = TestPrefix("docs");
  const Prefix got = catalog_->GetPrefix("docs", put.prefix_id).value();
  EXPECT_EQ(got.system_prompt, put.system_prompt);
  EXPECT_EQ(got.instruction, put.instruction);
  EXPECT_EQ(got.placement, put.placement);
  EXPECT_EQ(got.separator, put.separator);
  EXPECT_EQ(got.template_time, put.template_time);
  EXPECT_EQ(got.model_fingerprint, put.model_fingerprint);
  EXPECT_EQ(got.tokenizer_fingerprint, put.tokenizer_fingerprint);
  EXPECT_EQ(got.token_ids, put.token_ids);
  EXPECT_EQ(got.num_tokens(), 3);
  EXPECT_TRUE(got.is_default);
}

TEST_P(CatalogContract, LastDefaultPrefixWins) {
  ASSERT_TRUE(catalog_->PutPrefix(TestPrefix("docs", "def456")).ok());
  EXPECT_EQ(catalog_->GetPrefix("docs", "").value().prefix_id, "def456");
  EXPECT_FALSE(catalog_->GetPrefix("docs", "abc123").value().is_default);
  EXPECT_EQ(catalog_->ListPrefixes("docs").value().size(), 2u);
  EXPECT_EQ(catalog_->GetPrefix("other", "").value().prefix_id, "abc123");
  EXPECT_EQ(catalog_->GetPrefix("docs", "777").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(CatalogContract, BadPrefixesAreRefusedByField) {
  Prefix prefix = TestPrefix("docs");
  prefix.placement = "assistant";
  EXPECT_EQ(FieldOf(catalog_->PutPrefix(prefix)), "placement");
  prefix = TestPrefix("docs", "XYZ");
  EXPECT_EQ(FieldOf(catalog_->PutPrefix(prefix)), "prefix_id");
  prefix = TestPrefix("docs");
  prefix.token_ids.resize(kMaxPrefixTokens + 1);
  EXPECT_EQ(catalog_->PutPrefix(prefix).code(), absl::StatusCode::kResourceExhausted);
}

TEST_P(CatalogContract, DocumentComesBackAsItWasPut) {
  TestDocument test = MakeTestDocument("docs", "d 1/ü", {5, 3, 5});
  test.document.title = std::string("nul\0inside", 10);
  EXPECT_THAT(Put(test), IsEmpty());
  const Document got = catalog_->GetDocument("docs", "d 1/ü").value();
  EXPECT_EQ(got.title, test.document.title);
  EXPECT_EQ(got.content_digest, "digest");
  EXPECT_EQ(got.metadata_json, test.document.metadata_json);
  EXPECT_EQ(got.prefix_id, "abc123");
  EXPECT_EQ(got.writer_version, "1.0");
  EXPECT_EQ(got.chunks, test.document.chunks);
  EXPECT_EQ(got.created_time, clock_.Now());
  EXPECT_EQ(got.expire_time, absl::InfiniteFuture());
}

TEST_P(CatalogContract, ReplacingKeepsTheCreationTime) {
  Put("d", {1});
  const absl::Time created = clock_.Now();
  clock_.Advance(absl::Minutes(5));
  Put("d", {1, 2});
  const Document got = catalog_->GetDocument("docs", "d").value();
  EXPECT_EQ(got.created_time, created);
  EXPECT_EQ(got.updated_time, clock_.Now());
}

TEST_P(CatalogContract, DocumentOfManyChunksComesBackAndGoesWhole) {
  std::vector<int> old_chunks, new_chunks;
  for (int i = 0; i < 1500; ++i) old_chunks.push_back(i % 700);  // most of them twice, far apart
  for (int i = 0; i < 1500; ++i) new_chunks.push_back(600 + i % 700);
  Put("d", old_chunks);
  EXPECT_EQ(catalog_->GetDocument("docs", "d").value().chunks,
            MakeTestDocument("docs", "d", old_chunks).document.chunks);
  EXPECT_EQ(Put("d", new_chunks).size(), 600u);
  EXPECT_FALSE(Resolves(599));
  for (const int number : {600, 699, 700, 1299}) EXPECT_TRUE(Resolves(number)) << number;
  EXPECT_EQ(catalog_->DeleteDocument("docs", "d").value().size(), 700u);
}

TEST_P(CatalogContract, DocumentWithoutChunksIsADocument) {
  EXPECT_THAT(Put("d", {}), IsEmpty());
  EXPECT_THAT(catalog_->GetDocument("docs", "d").value().chunks, IsEmpty());
  EXPECT_THAT(Put("d", {1}), IsEmpty());
  EXPECT_THAT(Put("d", {}), ElementsAre(TestChunkId(1)));
  EXPECT_THAT(catalog_->DeleteDocument("docs", "d").value(), IsEmpty());
}

TEST_P(CatalogContract, LastPutOfAChunkGivesItsRecord) {
  Put("a", {1});
  TestDocument test = MakeTestDocument("docs", "b", {1});
  test.chunks[0].title = "another heading";
  Put(test);
  const std::vector<std::string> ids = {TestChunkId(1)};
  EXPECT_EQ(catalog_->ResolveChunks("docs", ids).value()[0]->title, "another heading");
}

TEST_P(CatalogContract, LookupAnswersInRequestOrder) {
  Put("d", {1, 2, 3});
  const std::vector<std::string> ids = {TestChunkId(3), TestChunkId(9), TestChunkId(1),
                                        TestChunkId(3), "no id",        ""};
  const auto records = catalog_->ResolveChunks("docs", ids).value();
  ASSERT_EQ(records.size(), 6u);
  EXPECT_EQ(records[0]->text, "text of chunk 3");
  EXPECT_EQ(records[0]->num_tokens, 13);
  EXPECT_EQ(records[0]->title, "heading");
  EXPECT_EQ(records[0]->prefix_id, "abc123");
  EXPECT_EQ(records[0]->namespace_name, "docs");
  EXPECT_FALSE(records[1].has_value());
  EXPECT_EQ(records[2]->chunk_id, TestChunkId(1));
  EXPECT_TRUE(records[3].has_value());
  EXPECT_FALSE(records[4].has_value());
  EXPECT_FALSE(records[5].has_value());
}

TEST_P(CatalogContract, LookupIsBounded) {
  const std::vector<std::string> ids(kMaxChunksPerLookup + 1, TestChunkId(1));
  EXPECT_EQ(catalog_->ResolveChunks("docs", ids).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(catalog_->ResolveChunks("docs", std::span(ids).first(kMaxChunksPerLookup)).ok());
}

TEST_P(CatalogContract, ChunksOfAnotherNamespaceDoNotResolve) {
  Put("d", {1});
  EXPECT_TRUE(Resolves(1, "docs"));
  EXPECT_FALSE(Resolves(1, "other"));
  EXPECT_EQ(catalog_->GetDocument("other", "d").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(catalog_->DeleteDocument("other", "d").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(catalog_->ListDocuments("other", 0, "").value().documents, IsEmpty());
  EXPECT_EQ(
      catalog_->PinChunks("other", std::vector{TestChunkId(1)}, "me", clock_.Now() + absl::Hours(1)).code(),
      absl::StatusCode::kNotFound);
}

TEST_P(CatalogContract, PagesCoverEveryDocumentOnce) {
  for (const char* id : {"b", "a", "d", "c", "e"}) Put(id, {1});
  std::string token;
  EXPECT_THAT(ListedIds(2, &token), ElementsAre("a", "b"));
  EXPECT_THAT(ListedIds(2, &token), ElementsAre("c", "d"));
  EXPECT_THAT(ListedIds(2, &token), ElementsAre("e"));
  EXPECT_EQ(token, "");
  EXPECT_THAT(ListedIds(5, &token), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_EQ(token, "");
}

TEST_P(CatalogContract, PageGoesOnWhereADeletedDocumentWasLast) {
  for (const char* id : {"a", "b", "c"}) Put(id, {1});
  std::string token;
  EXPECT_THAT(ListedIds(1, &token), ElementsAre("a"));
  ASSERT_TRUE(catalog_->DeleteDocument("docs", "a").ok());
  EXPECT_THAT(ListedIds(2, &token), ElementsAre("b", "c"));
}

TEST_P(CatalogContract, BadPagesAreRefusedByField) {
  EXPECT_EQ(FieldOf(catalog_->ListDocuments("docs", -1, "").status()), "page_size");
  EXPECT_EQ(FieldOf(catalog_->ListDocuments("docs", 1, "zz").status()), "page_token");
  EXPECT_EQ(FieldOf(catalog_->ListPins("docs", -1, "").status()), "page_size");
  EXPECT_TRUE(catalog_->ListDocuments("docs", kMaxPageSize + 1, "").ok());
}

TEST_P(CatalogContract, BadDocumentsAreRefusedByField) {
  const auto field_of = [&](const std::function<void(TestDocument&)>& spoil) {
    TestDocument test = MakeTestDocument("docs", "d", {1, 2});
    spoil(test);
    return FieldOf(catalog_->PutDocument(test.document, test.chunks).status());
  };
  EXPECT_EQ(field_of([](auto& t) { t.document.document_id = ""; }), "document_id");
  EXPECT_EQ(field_of([](auto& t) { t.document.document_id = std::string(513, 'x'); }), "document_id");
  EXPECT_EQ(field_of([](auto& t) { t.document.document_id = "\xc3("; }), "document_id");
  EXPECT_EQ(field_of([](auto& t) { t.document.title = "\xff"; }), "title");
  EXPECT_EQ(field_of([](auto& t) { t.document.metadata_json.resize(kMaxMetadataBytes + 1, ' '); }),
            "metadata_json");
  EXPECT_EQ(field_of([](auto& t) { t.document.prefix_id = "abcdef"; }),
            "chunks");  // chunks of another prefix
  EXPECT_EQ(field_of([](auto& t) { t.document.namespace_name = "Docs"; }), "namespace");
  EXPECT_EQ(field_of([](auto& t) { t.chunks.pop_back(); }), "chunks");
  EXPECT_EQ(field_of([](auto& t) { t.document.chunks.pop_back(); }), "chunks");
  EXPECT_EQ(field_of([](auto& t) { t.chunks[0].namespace_name = "other"; }), "chunks");
  EXPECT_EQ(field_of([](auto& t) { t.chunks[0].chunk_id = "short"; }), "chunk_id");
  EXPECT_EQ(field_of([](auto& t) { t.chunks[0].num_tokens = 0; }), "chunks");
  EXPECT_EQ(field_of([](auto& t) { t.chunks[0].text = "\xed\xa0\x80"; }), "chunks.text");
  EXPECT_EQ(field_of([](auto& t) { t.document.chunks[0].end_byte = -1; }), "chunks");
  EXPECT_EQ(catalog_->GetDocument("docs", "d").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(CatalogContract, DocumentBehindAnUnknownPrefixIsRefused) {
  TestDocument test = MakeTestDocument("docs", "d", {});
  test.document.prefix_id = "777";
  const absl::Status status = catalog_->PutDocument(test.document, test.chunks).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FieldOf(status), "prefix_id");
}

}  // namespace
}  // namespace cacheclip
