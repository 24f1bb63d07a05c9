// Random sequences of calls get the same answers from two RedisCatalogs that share a server as from one
// InMemoryCatalog.
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/catalog/in_memory_catalog.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

constexpr int kChunks = 14;
constexpr int kSteps = 120;

std::string Say(const absl::Status& status) { return absl::StrCat(status.code(), " ", status.message()); }
std::string Say(const std::vector<std::string>& ids) { return absl::StrJoin(ids, ","); }
std::string Say(const Document& document) {
  std::string text =
      absl::StrCat(document.document_id, " ", document.title, " ", document.writer_version, " ",
                   absl::FormatTime(document.created_time), " ", absl::FormatTime(document.updated_time), " ",
                   absl::FormatTime(document.expire_time));
  for (const ChunkReference& use : document.chunks)
    absl::StrAppend(&text, " ", use.chunk_id.substr(0, 8), "@", use.begin_byte);
  return text;
}
std::string Say(const DocumentPage& page) {
  std::string text = page.next_page_token;
  for (const Document& document : page.documents) absl::StrAppend(&text, "\n", Say(document));
  return text;
}
std::string Say(const PinPage& page) {
  std::string text = page.next_page_token;
  for (const Pin& pin : page.pins)
    absl::StrAppend(&text, "\n", pin.chunk_id.substr(0, 8), pin.owner, absl::FormatTime(pin.expire_time));
  return text;
}
std::string Say(const Removal& removal) {
  return absl::StrCat(removal.num_documents, ": ", Say(removal.released_chunk_ids));
}
std::string Say(const std::vector<std::optional<ChunkRecord>>& records) {
  std::string text;
  for (const auto& record : records)
    absl::StrAppend(&text, record ? absl::StrCat(record->title, record->text, record->num_tokens) : "-", ";");
  return text;
}
std::string Say(int64_t number) { return absl::StrCat(number); }
template <typename Value>
std::string Say(const absl::StatusOr<Value>& value) {
  return value.ok() ? Say(*value) : Say(value.status());
}

// One random call, made on any catalogue.
class Step {
 public:
  Step(std::mt19937& random, FakeClock& clock) : kind_(random() % 12) {
    space_ = Pick(random, {"docs", "docs", "other", "nobody"});
    owner_ = Pick(random, {"me", "you"});
    const std::string id = Pick(random, {"a", "b", "c", "d", "e"});
    std::vector<int> numbers;
    for (size_t i = random() % 6; i > 0; --i) numbers.push_back(static_cast<int>(random() % kChunks));
    test_ = MakeTestDocument(space_, id, numbers);
    test_.document.title = absl::StrCat("title ", random() % 3);
    test_.document.writer_version = Pick(random, {"1.0", "1.1", "2.0"});
    for (ChunkRecord& chunk : test_.chunks) chunk.title = test_.document.title;
    now_ = clock.Now();
    if (random() % 3 == 0) test_.document.expire_time = now_ + absl::Minutes(random() % 20);
    pinned_until_ = now_ + absl::Minutes(random() % 30);
    page_size_ = 1 + static_cast<int>(random() % 4);
    for (const int number : numbers) ids_.push_back(TestChunkId(number));
    from_ = now_ - absl::Minutes(random() % 60);
  }

  std::string On(Catalog& catalog) const {
    const std::string& id = test_.document.document_id;
    switch (kind_) {
      case 0:
        return Say(catalog.DeleteDocument(space_, id));
      case 1:
        return Say(catalog.GetDocument(space_, id));
      case 2:
        return Say(catalog.PinChunks(space_, ids_, owner_, pinned_until_));
      case 3:
        return Say(catalog.UnpinChunks(space_, ids_, owner_));
      case 4:
        return Say(catalog.SweepExpired());
      case 5:
        return Say(catalog.TrimDocuments({.namespace_name = space_ == "other" ? "other" : "",
                                          .updated_from = from_,
                                          .updated_until = from_ + absl::Minutes(2),
                                          .writer_version = test_.document.writer_version}));
      case 6:
        return AllPages(catalog);
      default:
        return Say(catalog.PutDocument(test_.document, test_.chunks));
    }
  }

 private:
  static std::string Pick(std::mt19937& random, const std::vector<std::string>& choices) {
    return choices[random() % choices.size()];
  }
  std::string AllPages(Catalog& catalog) const {
    std::string text, documents, pins;
    do {
      const auto page = catalog.ListDocuments(space_, page_size_, documents);
      absl::StrAppend(&text, Say(page), "\n");
      documents = page.ok() ? page->next_page_token : "";
    } while (!documents.empty());
    do {
      const auto page = catalog.ListPins(space_, page_size_, pins);
      absl::StrAppend(&text, Say(page), "\n");
      pins = page.ok() ? page->next_page_token : "";
    } while (!pins.empty());
    return text;
  }

  int kind_;
  std::string space_, owner_;
  TestDocument test_;
  std::vector<std::string> ids_;
  absl::Time now_, pinned_until_, from_;
  int page_size_ = 0;
};

std::string Everything(Catalog& catalog) {
  std::vector<std::string> ids;
  for (int number = 0; number < kChunks; ++number) ids.push_back(TestChunkId(number));
  std::string text;
  for (const char* space : {"docs", "other"})
    absl::StrAppend(&text, Say(catalog.ResolveChunks(space, ids)), "\n",
                    Say(catalog.ListDocuments(space, 0, "")), "\n", Say(catalog.ListPins(space, 0, "")),
                    "\n");
  return text;
}

class RedisCatalogParityTest : public RedisCatalogTest {};

TEST_F(RedisCatalogParityTest, RandomCallsAreAnsweredAsInMemory) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const std::string root = UniqueRoot();
    InMemoryCatalog expected(&clock_);
    const std::unique_ptr<RedisCatalog> replicas[] = {
        OpenRedisCatalog(client_, root, &clock_),
        OpenRedisCatalog(SharedRedis().MakeClient(), root, &clock_)};
    RegisterTestNamespaces(expected);
    RegisterTestNamespaces(*replicas[0]);
    for (int i = 0; i < kSteps; ++i) {
      SCOPED_TRACE(absl::StrCat("step ", i));
      if (random() % 4 == 0) clock_.Advance(absl::Minutes(random() % 10));
      const Step step(random, clock_);
      ASSERT_EQ(step.On(*replicas[i % 2]), step.On(expected));
      ASSERT_EQ(Everything(*replicas[(i + 1) % 2]), Everything(expected));
    }
    ASSERT_EQ(ProblemsOf(*replicas[0]), "");
    EXPECT_EQ(replicas[0]->Verify().value().num_leftovers, 0);
  }
}

}  // namespace
}  // namespace cacheclip
