// The lines of an evaluation: one JSON object per task, sample, method and budget. Read back for resuming;
// appended and flushed line by line, so that a killed run loses at most the line it was writing (which
// reading drops). One thread.
#pragma once

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/evaluation/evaluator.h"

namespace cacheclip {

// What a line is about; two lines with the same key are the same measurement.
std::string RecordKey(const nlohmann::json& record);

nlohmann::json MakeRecord(const PreparedSample& prepared, const MethodSpec& spec, double budget,
                          const MethodOutcome& outcome);

// Every whole line of a file. INVALID_ARGUMENT naming "compare" if it cannot be read, DATA_LOSS naming the
// first line that is no record.
absl::StatusOr<std::vector<nlohmann::json>> ReadRecords(const std::string& path);

class RecordFile {
 public:
  // An empty path keeps the records in memory only. ALREADY_EXISTS: the file holds something and `resume` is
  // not set; DATA_LOSS naming the first line that is no record (an unfinished last line is cut off).
  static absl::StatusOr<RecordFile> Open(const std::string& path, bool resume);

  const nlohmann::json* Find(const std::string& key) const;  // null: not there yet
  absl::Status Append(nlohmann::json record);                // RESOURCE_EXHAUSTED: cannot be written
  const std::map<std::string, nlohmann::json>& records() const { return records_; }

 private:
  std::map<std::string, nlohmann::json> records_;  // by key
  std::string path_;
  std::ofstream file_;
};

}  // namespace cacheclip
