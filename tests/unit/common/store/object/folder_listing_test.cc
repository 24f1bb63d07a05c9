#include "common/store/object/folder_listing.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

class FolderListingTest : public testing::Test {
 protected:
  void Make(const std::string& name) {
    const std::filesystem::path path = folder_.path() + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << name;
  }
  std::vector<std::string> Page(const std::string& after, int max_objects) {
    std::vector<std::string> names;
    const ObjectPage page = ListFolder(folder_.path(), "", after, max_objects, CancellationToken()).value();
    for (const ObjectInfo& info : page.objects) names.push_back(info.name);
    next_ = page.next_page;
    return names;
  }
  TempFolder folder_;
  std::string next_;
};

TEST_F(FolderListingTest, OrdersNamesAsABucketDoes) {
  for (const char* name : {"a", "a-b", "a.d/x", "a0", "ab/c"}) Make(name);
  EXPECT_EQ(Page("", 10), (std::vector<std::string>{"a", "a-b", "a.d/x", "a0", "ab/c"}));
}

TEST_F(FolderListingTest, APageMayBeginAnywhereAlsoBehindANameThatIsGone) {
  for (const char* name : {"a/1", "a/2", "b/1", "b/2"}) Make(name);
  EXPECT_EQ(Page("a/1", 2), (std::vector<std::string>{"a/2", "b/1"}));
  EXPECT_EQ(next_, "b/1");
  std::filesystem::remove(folder_.path() + "/b/1");
  EXPECT_EQ(Page("b/1", 2), (std::vector<std::string>{"b/2"}));
  EXPECT_EQ(next_, "");
}

TEST_F(FolderListingTest, OnlyFilesAreObjectsAndIncomingOnesAreHidden) {
  Make("a/file");
  Make(".incoming/half");
  std::filesystem::create_symlink("/etc/passwd", folder_.path() + "/a/link");
  ASSERT_EQ(::mkfifo((folder_.path() + "/a/pipe").c_str(), 0600), 0);
  EXPECT_EQ(Page("", 10), (std::vector<std::string>{"a/file"}));
  EXPECT_TRUE(absl::IsNotFound(StatObject(folder_.path(), "a/link").status()));
  EXPECT_TRUE(absl::IsNotFound(StatObject(folder_.path(), "a").status()));
  EXPECT_TRUE(absl::IsNotFound(StatObject(folder_.path(), "a/file/below").status()));
}

TEST_F(FolderListingTest, PrefixesMayNotLeaveTheFolder) {
  for (const char* prefix : {"../", "a", "/", "a/../../"})
    EXPECT_TRUE(
        absl::IsInvalidArgument(ListFolder(folder_.path(), prefix, "", 10, CancellationToken()).status()))
        << prefix;
}

}  // namespace
}  // namespace cacheclip
