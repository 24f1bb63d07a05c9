#include "common/store/remote/chunk_assembler.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/time/time.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

void Receive(ChunkAssembler& assembler, const EncodedChunk& from, size_t index) {
  std::ranges::copy(from.SliceBytes(from.slices()[index]), assembler.SliceSpace(index).begin());
}

bool HasLayer(const ChunkAssembler& assembler, int32_t layer) {
  return assembler.arrival()->WaitForLayer(layer, absl::InfinitePast()).ok();
}

class ChunkAssemblerTest : public testing::Test {
 protected:
  // 5 MiB of keys and values a layer: several slices each.
  const std::shared_ptr<const EncodedChunk> original_ =
      MakeTestChunk({.seed = 3, .num_tokens = 1280, .shape = {2, 8, 128, KvDtype::kBf16}});
  std::unique_ptr<ChunkAssembler> assembler_ =
      ChunkAssembler::Start(original_->header_bytes(), original_->key()).value();
};

TEST_F(ChunkAssemblerTest, PublishesALayerWithItsLastSliceAndEndsWithTheSameImage) {
  ASSERT_GT(assembler_->num_slices(), 4);
  for (size_t i = 0; i < assembler_->num_slices(); ++i) {
    const int32_t layer = assembler_->slice(i).layer;
    EXPECT_FALSE(HasLayer(*assembler_, layer)) << "before slice " << i;
    Receive(*assembler_, *original_, i);
    ASSERT_TRUE(assembler_->FinishSlice().ok());
    const bool is_last = i + 1 == assembler_->num_slices() || assembler_->slice(i + 1).layer != layer;
    EXPECT_EQ(HasLayer(*assembler_, layer), is_last) << "after slice " << i;
  }
  EXPECT_TRUE(assembler_->is_complete());
  EXPECT_TRUE(std::ranges::equal(assembler_->chunk()->image(), original_->image()));
  EXPECT_EQ(assembler_->chunk()->header(), original_->header());
}

TEST_F(ChunkAssemblerTest, SeveralSlicesMayBeReceivedAtOnce) {
  const size_t end = assembler_->num_slices();
  const auto space = assembler_->SlicesSpace(0, end);
  const auto payload = original_->image().subspan(original_->header_bytes().size());
  ASSERT_EQ(space.size(), payload.size());
  std::ranges::copy(payload, space.begin());
  EXPECT_TRUE(assembler_->FinishSlices(end).ok());
  EXPECT_TRUE(assembler_->arrival()->WaitForAll(absl::InfinitePast()).ok());
}

TEST_F(ChunkAssemblerTest, DamagedSliceFailsTheArrivalButNotTheLayersBefore) {
  size_t index = 0;
  for (; assembler_->slice(index).layer == 0; ++index) {
    Receive(*assembler_, *original_, index);
    ASSERT_TRUE(assembler_->FinishSlice().ok());
  }
  Receive(*assembler_, *original_, index);
  assembler_->SliceSpace(index)[100] ^= std::byte{4};
  EXPECT_TRUE(absl::IsDataLoss(assembler_->FinishSlice()));
  EXPECT_TRUE(HasLayer(*assembler_, 0));
  EXPECT_TRUE(absl::IsDataLoss(assembler_->arrival()->WaitForLayer(1, absl::InfiniteFuture())));
}

// The checksums hold: only a faulty writer stores such a thing.
TEST(ChunkAssembler, ScaleThatIsNoneFailsTheArrival) {
  ChunkBuilder builder = ChunkBuilder::Create(MakeTestHeader({.shape = {2, 2, 8, KvDtype::kInt8}})).value();
  builder.MutableValueScales(1)[3] = -1;
  const auto faulty = std::move(builder).Finish();
  const auto assembler = ChunkAssembler::Start(faulty->header_bytes(), faulty->key()).value();
  for (size_t i = 0; i < 2; ++i) Receive(*assembler, *faulty, i);
  EXPECT_TRUE(absl::IsDataLoss(assembler->FinishSlices(2)));
  EXPECT_TRUE(HasLayer(*assembler, 0));
  EXPECT_TRUE(absl::IsDataLoss(assembler->arrival()->WaitForLayer(1, absl::InfiniteFuture())));
}

TEST_F(ChunkAssemblerTest, WriterThatGoesAwayFailsTheArrival) {
  const auto arrival = assembler_->arrival();
  assembler_.reset();
  EXPECT_TRUE(absl::IsUnavailable(arrival->WaitForLayer(0, absl::InfiniteFuture())));
}

TEST_F(ChunkAssemblerTest, RefusesTheHeaderOfAnotherKeyAndWhatIsNoHeader) {
  const auto other = MakeTestChunk(4);
  EXPECT_TRUE(absl::IsDataLoss(ChunkAssembler::Start(original_->header_bytes(), other->key()).status()));
  std::vector<std::byte> damaged(other->header_bytes().begin(), other->header_bytes().end());
  damaged[40] ^= std::byte{1};
  EXPECT_TRUE(absl::IsDataLoss(ChunkAssembler::Start(damaged, other->key()).status()));
  EXPECT_TRUE(absl::IsDataLoss(ChunkAssembler::Start({}, other->key()).status()));
}

}  // namespace
}  // namespace cacheclip
