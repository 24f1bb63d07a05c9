// Reads documents from files and folders for `cacheclip ingest`: .txt and .md are one document each, .jsonl
// one per line
// ({"id", "text", optional "title" and "metadata"}). A folder is walked in name order; other files in it are
// left out. Ids are paths relative to the folder that was named. Yields one document at a time. One thread.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/ingest/ingest_pipeline.h"

namespace cacheclip {

class DocumentReader {
 public:
  // NOT_FOUND naming the path that does not exist; INVALID_ARGUMENT for a file of another kind that was named
  // itself.
  static absl::StatusOr<DocumentReader> Open(const std::vector<std::string>& paths);

  // False at the end. A file that cannot be read, or a line that is no document, is counted, reported by
  // errors(), passed over.
  bool Next(SourceDocument* document);

  const std::vector<std::string>& errors() const { return errors_; }
  size_t num_files() const { return files_.size(); }

 private:
  struct File {
    std::string path, id;
  };
  bool NextLine(SourceDocument* document);
  bool ReadWhole(const File& file, SourceDocument* document);

  std::vector<File> files_;
  size_t next_file_ = 0;
  std::ifstream lines_;  // of the .jsonl under way
  std::string lines_path_;
  int64_t line_number_ = 0;
  std::vector<std::string> errors_;
};

}  // namespace cacheclip
