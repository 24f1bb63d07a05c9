#include "services/cacheclip/documents/document_set.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DocumentSetTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder_.path() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
    return path;
  }
  std::vector<std::string> Ids(const DocumentSet& set) {
    std::vector<std::string> ids;
    for (int64_t i = 0; i < set.size(); ++i) {
      const auto document = set.Read(i);
      ids.push_back(document.ok() ? document->document_id : std::string(document.status().message()));
    }
    return ids;
  }
  TempFolder folder_;
};

TEST_F(DocumentSetTest, AFolderIsWalkedInNameOrderAndOtherFilesAreLeftOut) {
  Write("c.md", "# Heading\n\ntext");
  Write("b/a.txt", "plain");
  Write("a.png", "image");
  const auto set = DocumentSet::Open({folder_.path()});
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(Ids(*set), ElementsAre("b/a.txt", "c.md"));
  EXPECT_EQ(set->Read(0)->title, "a");
  EXPECT_EQ(set->Read(1)->title, "Heading");
  EXPECT_EQ(set->Read(1)->format, DocumentFormat::kMarkdown);
}

TEST_F(DocumentSetTest, JsonLinesAreDocumentsAndABadLineSaysWhere) {
  const std::string file =
      Write("d.jsonl", R"({"id": "one", "text": "first", "title": "T", "metadata": {"year": 1901}})"
                       "\n\n{\"id\": 7}\n"
                       R"({"id": "two", "text": "second"})");
  const auto set = DocumentSet::Open({file});
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(Ids(*set), ElementsAre("one", HasSubstr("d.jsonl:3"), "two"));
  EXPECT_EQ(set->Read(0)->metadata_json, R"({"year":1901})");
  EXPECT_EQ(set->Read(0)->title, "T");
  EXPECT_EQ(set->Read(2)->text, "second");
}

TEST_F(DocumentSetTest, LinesLongerThanOneReadAreWhole) {
  const std::string text(5 << 20, 'x');
  const std::string file = Write("d.jsonl", "{\"id\": \"long\", \"text\": \"" + text +
                                                "\"}\n"
                                                "{\"id\": \"next\", \"text\": \"y\"}\n");
  const auto set = DocumentSet::Open({file});
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(Ids(*set), ElementsAre("long", "next"));
  EXPECT_EQ(set->Read(0)->text, text);
}

TEST_F(DocumentSetTest, AManifestNamesFilesBesideIt) {
  Write("texts/a.md", "# Of ships\n\nSail.");
  const std::string file = Write("manifest.jsonl", R"({"id": "ships", "path": "texts/a.md"})"
                                                   "\n"
                                                   R"({"id": "gone", "path": "texts/b.md"})"
                                                   "\n"
                                                   R"({"id": "neither"})");
  const auto set = DocumentSet::Open({file});
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->Read(0)->title, "Of ships");
  EXPECT_EQ(set->Read(0)->format, DocumentFormat::kMarkdown);
  EXPECT_THAT(std::string(set->Read(1).status().message()), HasSubstr("manifest.jsonl:2"));
  EXPECT_THAT(std::string(set->Read(2).status().message()), HasSubstr("neither \"text\" nor \"path\""));
}

TEST_F(DocumentSetTest, PatternsMatchFilesAndFolders) {
  Write("x1/a.txt", "a");
  Write("x2/b.txt", "b");
  Write("y/c.txt", "c");
  const auto set = DocumentSet::Open({folder_.path() + "/x*"});
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(Ids(*set), ElementsAre("a.txt", "b.txt"));
  EXPECT_EQ(DocumentSet::Open({folder_.path() + "/z*"}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DocumentSetTest, NamesTheSourceItCannotTake) {
  EXPECT_EQ(FieldOf(DocumentSet::Open({folder_.path() + "/nowhere"}).status()), folder_.path() + "/nowhere");
  const auto image = DocumentSet::Open({Write("a.png", "image")});
  EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DocumentSetTest, TwoWorkersSeeWhetherTheyMeanTheSameSet) {
  Write("a.txt", "a");
  const auto first = DocumentSet::Open({folder_.path()});
  const auto same = DocumentSet::Open({folder_.path()});
  Write("b.txt", "b");
  const auto more = DocumentSet::Open({folder_.path()});
  EXPECT_NE(first->Identity().value(), more->Identity().value());
  const Digest before = first->Identity().value();
  EXPECT_EQ(before, same->Identity().value());
  Write("a.txt", "b");
  EXPECT_NE(DocumentSet::Open({folder_.path() + "/a.txt"})->Identity().value(), before);
}

TEST_F(DocumentSetTest, AnEditOfTheSameSizeMakesAnotherSet) {
  Write("texts/a.md", "Sail.");
  const std::vector<std::string> lines = {Write("lines.jsonl", R"({"id": "1", "text": "one"})")};
  const std::vector<std::string> paths = {Write("paths.jsonl", R"({"id": "1", "path": "texts/a.md"})")};
  const std::vector<std::string> folder = {folder_.path() + "/texts"};
  const auto identity = [](const std::vector<std::string>& sources) {
    return DocumentSet::Open(sources)->Identity().value();
  };
  const Digest old_lines = identity(lines), old_paths = identity(paths), old_folder = identity(folder);
  EXPECT_EQ(identity(paths), old_paths);
  Write("lines.jsonl", R"({"id": "1", "text": "two"})");
  Write("texts/a.md", "Tail.");
  EXPECT_NE(identity(lines), old_lines);
  EXPECT_NE(identity(paths), old_paths) << "the file that a line names";
  EXPECT_NE(identity(folder), old_folder);
}

}  // namespace
}  // namespace cacheclip
