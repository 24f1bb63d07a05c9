#include "common/kv/kv_shape.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(KvShape, CountsBytesOfTokensAndLayers) {
  const KvShape shape{30, 3, 64, KvDtype::kBf16};
  EXPECT_EQ(shape.KeysBytes(1), 384);
  EXPECT_EQ(shape.LayerBytes(10), 7680);
  EXPECT_EQ(shape.BytesPerToken(), 23040);
  EXPECT_EQ((KvShape{30, 3, 64, KvDtype::kFp32}).BytesPerToken(), 46080);
  EXPECT_EQ(shape.ToString(), "30x3x64 bf16");
}

TEST(KvShape, LargestShapeDoesNotOverflow) {
  const KvShape shape{kMaxKvLayers, kMaxKvHeads, kMaxKvHeadDim, KvDtype::kFp32};
  ASSERT_TRUE(ValidateKvShape(shape).ok());
  EXPECT_EQ(shape.BytesPerToken(), int64_t{2} * 512 * 512 * 1024 * 4);
}

TEST(ValidateKvShape, NamesTheFieldOutOfBounds) {
  EXPECT_EQ(FieldOf(ValidateKvShape({0, 3, 64, KvDtype::kBf16})), "shape.num_layers");
  EXPECT_EQ(FieldOf(ValidateKvShape({kMaxKvLayers + 1, 3, 64, KvDtype::kBf16})), "shape.num_layers");
  EXPECT_EQ(FieldOf(ValidateKvShape({30, -1, 64, KvDtype::kBf16})), "shape.num_kv_heads");
  EXPECT_EQ(FieldOf(ValidateKvShape({30, 3, kMaxKvHeadDim + 1, KvDtype::kBf16})), "shape.head_dim");
  EXPECT_EQ(FieldOf(ValidateKvShape({30, 3, 64, static_cast<KvDtype>(9)})), "shape.dtype");
}

TEST(KvShape, Int8CountsItsScales) {
  const KvShape shape{30, 3, 64, KvDtype::kInt8};
  EXPECT_EQ(shape.KeysBytes(10), 1920);
  EXPECT_EQ(shape.KeyScalesBytes(), 768);
  EXPECT_EQ(shape.ValueScalesBytes(10), 120);
  EXPECT_EQ(shape.LayerBytes(10), 2 * 1920 + 768 + 120);
  EXPECT_EQ(shape.BytesPerToken(), 30 * (2 * 192 + 12)) << "the key scales come once";
  EXPECT_TRUE(ValidateKvShape(shape).ok());
  EXPECT_EQ((KvShape{30, 3, 64, KvDtype::kBf16}).ValueScalesBytes(10), 0);
}

TEST(ParseKvDtype, KnowsEveryNameAndNoOther) {
  for (const KvDtype dtype : {KvDtype::kBf16, KvDtype::kFp32, KvDtype::kInt8})
    EXPECT_EQ(ParseKvDtype(KvDtypeName(dtype)).value(), dtype);
  for (const char* name : {"", "int4", "BF16", "unknown"})
    EXPECT_EQ(FieldOf(ParseKvDtype(name).status()), "kv_dtype") << name;
}

TEST(KvDtype, HasNameAndSize) {
  EXPECT_EQ(KvDtypeName(KvDtype::kBf16), "bf16");
  EXPECT_EQ(KvDtypeName(KvDtype::kFp32), "fp32");
  EXPECT_EQ(KvDtypeName(KvDtype::kInt8), "int8");
  EXPECT_EQ(KvDtypeBytes(KvDtype::kBf16), 2);
  EXPECT_EQ(KvDtypeBytes(KvDtype::kFp32), 4);
  EXPECT_EQ(KvDtypeBytes(static_cast<KvDtype>(0)), 0);
}

}  // namespace
}  // namespace cacheclip
