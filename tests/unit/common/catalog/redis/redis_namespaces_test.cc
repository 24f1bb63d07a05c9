#include "common/catalog/redis/redis_namespaces.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/support/redis_catalog_harness.h"

namespace cacheclip {
namespace {

class RedisNamespacesTest : public RedisCatalogTest {};

TEST_F(RedisNamespacesTest, NamespacesAreBounded) {
  std::vector<RedisCommand> commands;
  for (int i = 2; i < kMaxNamespaces; ++i)  // docs and other are there
    commands.push_back({.args = {"HSET", RegistryKey(root_), absl::StrCat("n", i), std::string(16, '8')}});
  ASSERT_TRUE(server_->Pipeline(commands).ok());
  const absl::Status status = InsertNamespace(*server_, "one-more").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(FieldOf(status), "namespace");
  EXPECT_TRUE(InsertNamespace(*server_, "docs").ok());
  EXPECT_EQ(ReadNamespaces(*server_).value().size(), static_cast<size_t>(kMaxNamespaces));
  for (int i = 2; i < kMaxNamespaces; ++i)
    commands[i - 2] = {.args = {"HDEL", RegistryKey(root_), absl::StrCat("n", i)}};
  ASSERT_TRUE(server_->Pipeline(commands).ok());
}

TEST_F(RedisNamespacesTest, PrefixesAreBoundedButMayBeReplaced) {
  for (int i = 0; i < kMaxPrefixesPerNamespace - 1; ++i)  // abc123 is there
    ASSERT_TRUE(ReplacePrefix(*server_, TestPrefix("docs", absl::StrCat(absl::Hex(i)))).ok());
  const absl::Status status = ReplacePrefix(*server_, TestPrefix("docs", "ffff"));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(FieldOf(status), "prefix_id");
  EXPECT_TRUE(ReplacePrefix(*server_, TestPrefix("docs", "0")).ok());
  const std::vector<Prefix> prefixes = ReadPrefixes(*server_, "docs").value();
  ASSERT_EQ(prefixes.size(), static_cast<size_t>(kMaxPrefixesPerNamespace));
  for (size_t i = 1; i < prefixes.size(); ++i) EXPECT_LT(prefixes[i - 1].prefix_id, prefixes[i].prefix_id);
}

TEST_F(RedisNamespacesTest, DefaultThatIsPutAgainAsNoneIsNoDefault) {
  Prefix prefix = TestPrefix("docs");
  prefix.is_default = false;
  ASSERT_TRUE(ReplacePrefix(*server_, prefix).ok());
  EXPECT_TRUE(absl::IsNotFound(FindPrefix(*server_, "docs", "").status()));
  EXPECT_FALSE(FindPrefix(*server_, "docs", prefix.prefix_id).value().is_default);
}

TEST_F(RedisNamespacesTest, NamespaceWhoseCreationWasCutShortIsHealed) {
  const std::string created(16, '8');
  Ask({"HSET", RegistryKey(root_), "half", created});
  EXPECT_TRUE(absl::IsNotFound(FindNamespace(*server_, "half").status()));
  ASSERT_TRUE(catalog_->SweepExpired().ok());
  const absl::Time created_time = FindNamespace(*server_, "half").value().created_time;
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(InsertNamespace(*server_, "half").value().created_time, created_time);
}

TEST_F(RedisNamespacesTest, PinsAreScannedInSteps) {
  std::vector<int> numbers;
  std::vector<std::string> ids;
  for (int i = 0; i < kMaxChunksPerLookup; ++i) {
    numbers.push_back(i);
    ids.push_back(TestChunkId(i));
  }
  Put("d", numbers);
  ASSERT_TRUE(InsertPins(*server_, "docs", ids, "early", clock_.Now() + absl::Hours(1)).ok());
  ASSERT_TRUE(InsertPins(*server_, "docs", ids, "earlier", clock_.Now() + absl::Hours(1)).ok());
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(
      InsertPins(*server_, "docs", std::span(ids).last(3), "late", clock_.Now() + absl::Hours(1)).ok());
  const std::vector<Pin> pins = ScanPins(*server_, "docs", "", 10).value();
  ASSERT_EQ(pins.size(), 3u);  // behind thousands that have expired
  EXPECT_EQ(pins[0].chunk_id, ids[kMaxChunksPerLookup - 3]);
  EXPECT_EQ(pins[2].owner, "late");
  EXPECT_EQ(ScanPins(*server_, "docs", "", 2).value().size(), 2u);
}

}  // namespace
}  // namespace cacheclip
