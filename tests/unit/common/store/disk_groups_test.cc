#include "common/store/disk_groups.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {
namespace {

ChunkKey Key(int seed) { return MakeTestChunk(seed)->key(); }

TEST(DiskGroups, RemembersMembersByGroup) {
  TempFolder folder;
  DiskGroups groups(folder.path());
  const std::string odd_name("a/../b\0c", 8);
  ASSERT_TRUE(groups.Add(odd_name, {Key(1), 100}).ok());
  ASSERT_TRUE(groups.Add(odd_name, {Key(1), 100}).ok());
  ASSERT_TRUE(groups.Add("other", {Key(2), 200}).ok());
  const auto members = DiskGroups(folder.path()).Members(odd_name);
  ASSERT_TRUE(members.ok()) << members.status();
  ASSERT_EQ(members->size(), 1u);
  EXPECT_EQ((*members)[0].key, Key(1));
  EXPECT_EQ((*members)[0].bytes, 100);
  groups.Remove(odd_name, {Key(1), 100});
  EXPECT_TRUE(groups.Members(odd_name)->empty());
  EXPECT_EQ(groups.Members("other")->size(), 1u);
}

TEST(DiskGroups, AnUnknownGroupIsEmptyAndForeignFilesAreIgnored) {
  TempFolder folder;
  DiskGroups groups(folder.path());
  EXPECT_TRUE(groups.Members("nobody")->empty());
  ASSERT_TRUE(groups.Add("docs", {Key(1), 5}).ok());
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    std::ofstream(entry.path() / "notes.txt") << "x";
    std::ofstream(entry.path() / "zz.12") << "x";
  }
  EXPECT_EQ(groups.Members("docs")->size(), 1u);
}

}  // namespace
}  // namespace cacheclip
