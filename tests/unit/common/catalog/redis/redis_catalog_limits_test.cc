// The largest document that a catalogue accepts, on Redis: many batches, one switch.
#include <string>
#include <vector>

#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

class RedisCatalogLimitsTest : public RedisCatalogTest {};

TEST_F(RedisCatalogLimitsTest, LargestDocumentIsPutReplacedAndDeleted) {
  std::vector<int> numbers;
  for (int i = 0; i < kMaxChunksPerDocument; ++i) numbers.push_back(i);
  Put("d", numbers);
  EXPECT_TRUE(Resolves(kMaxChunksPerDocument - 1));
  EXPECT_EQ(catalog_->GetDocument("docs", "d").value().chunks.size(),
            static_cast<size_t>(kMaxChunksPerDocument));
  numbers.front() = kMaxChunksPerDocument;
  EXPECT_EQ(Put("d", numbers), std::vector<std::string>{TestChunkId(0)});
  EXPECT_EQ(catalog_->DeleteDocument("docs", "d").value().size(), static_cast<size_t>(kMaxChunksPerDocument));
}

}  // namespace
}  // namespace cacheclip
