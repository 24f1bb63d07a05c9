#include "services/evaluation/eval_records.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

using nlohmann::json;

json Record(int sample) {
  return {{"task", "seam"}, {"method", "none"}, {"sample", sample}, {"budget", 0.2}, {"kl", 0.5}};
}

TEST(RecordFile, GivesBackWhatAnEarlierRunWrote) {
  TempFolder folder;
  const std::string path = folder.path() + "/out.jsonl";
  ASSERT_TRUE(RecordFile::Open(path, false)->Append(Record(1)).ok());
  {
    auto file = RecordFile::Open(path, true);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_NE(file->Find(RecordKey(Record(1))), nullptr);
    EXPECT_EQ(file->Find(RecordKey(Record(2))), nullptr);
    ASSERT_TRUE(file->Append(Record(2)).ok());
  }
  EXPECT_EQ(RecordFile::Open(path, true)->records().size(), 2);
}

TEST(RecordFile, CutsOffALineThatWasNotFinished) {
  TempFolder folder;
  const std::string path = folder.path() + "/out.jsonl";
  ASSERT_TRUE(RecordFile::Open(path, false)->Append(Record(1)).ok());
  std::ofstream(path, std::ios::app) << "{\"task\": \"se";
  {
    auto file = RecordFile::Open(path, true);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->records().size(), 1);
    ASSERT_TRUE(file->Append(Record(2)).ok());
  }
  EXPECT_EQ(RecordFile::Open(path, true)->records().size(), 2);
}

TEST(RecordFile, OverwritesNothingUnasked) {
  TempFolder folder;
  const std::string path = folder.path() + "/out.jsonl";
  ASSERT_TRUE(RecordFile::Open(path, false)->Append(Record(1)).ok());
  EXPECT_EQ(FieldOf(RecordFile::Open(path, false).status()), "out");
  std::ofstream(path, std::ios::app) << "what is this?\n";
  EXPECT_EQ(RecordFile::Open(path, true).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(FieldOf(RecordFile::Open(folder.path() + "/no/such/folder", true).status()), "out");
}

TEST(ReadRecords, RefusesWhatCannotBeCompared) {
  TempFolder folder;
  const std::string path = folder.path() + "/old.jsonl";
  EXPECT_EQ(FieldOf(ReadRecords(path).status()), "compare");
  ASSERT_TRUE(RecordFile::Open(path, false)->Append(Record(1)).ok());
  EXPECT_EQ(ReadRecords(path)->size(), 1);
  json without_kl = Record(2);
  without_kl["kl"] = nullptr;
  std::ofstream(path, std::ios::app) << without_kl.dump() << "\n";
  EXPECT_EQ(ReadRecords(path).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cacheclip
