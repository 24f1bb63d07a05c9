#include "services/cacheclip/document_reader.h"

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

std::vector<SourceDocument> ReadAll(DocumentReader& reader) {
  std::vector<SourceDocument> documents;
  for (SourceDocument document; reader.Next(&document);) documents.push_back(document);
  return documents;
}

TEST(DocumentReader, WalksAFolderInNameOrderAndLeavesOtherFilesOut) {
  TempFolder folder;
  std::filesystem::create_directories(folder.path() + "/b");
  std::ofstream(folder.path() + "/c.md") << "# Heading\n\ntext";
  std::ofstream(folder.path() + "/b/a.txt") << "plain";
  std::ofstream(folder.path() + "/a.png") << "image";
  auto reader = DocumentReader::Open({folder.path()});
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto documents = ReadAll(*reader);
  ASSERT_EQ(documents.size(), 2);
  EXPECT_EQ(documents[0].document_id, "b/a.txt");
  EXPECT_EQ(documents[0].title, "a");
  EXPECT_EQ(documents[1].document_id, "c.md");
  EXPECT_EQ(documents[1].title, "Heading");
  EXPECT_EQ(documents[1].format, DocumentFormat::kMarkdown);
}

TEST(DocumentReader, JsonLinesAreDocumentsAndBadOnesAreReported) {
  TempFolder folder;
  const std::string file = folder.path() + "/d.jsonl";
  std::ofstream(file) << R"({"id": "one", "text": "first", "title": "T", "metadata": {"year": 1901}})"
                      << "\n\n"
                      << "{\"id\": 7}\n"
                      << R"({"id": "two", "text": "second"})";
  auto reader = DocumentReader::Open({file});
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto documents = ReadAll(*reader);
  ASSERT_EQ(documents.size(), 2);
  EXPECT_EQ(documents[0].metadata_json, R"({"year":1901})");
  EXPECT_EQ(documents[0].title, "T");
  EXPECT_EQ(documents[1].document_id, "two");
  EXPECT_EQ(documents[1].metadata_json, "");
  EXPECT_THAT(reader->errors(), ElementsAre(HasSubstr("d.jsonl:3")));
}

TEST(DocumentReader, NamesThePathItCannotTake) {
  TempFolder folder;
  EXPECT_EQ(FieldOf(DocumentReader::Open({folder.path() + "/nowhere"}).status()), folder.path() + "/nowhere");
  std::ofstream(folder.path() + "/a.png") << "image";
  EXPECT_EQ(DocumentReader::Open({folder.path() + "/a.png"}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cacheclip
