// The documents of a set of files, numbered from 0, each readable at any time: for ingestion, which takes
// them in order, and for preloading, whose workers take them as they come. A text or Markdown file is one
// document; each line of a .jsonl file is one:
//
//   {"id": "…", "text": "…", "title": "…", "metadata": {…}}      title and metadata may be missing
//   {"id": "…", "path": "docs/a.md"}                              the text lies in a file beside this one
//
// Opening reads .jsonl files once, to know where their lines are; memory is about 40 bytes a document.
// Thread-safe after opening.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/hash.h"
#include "common/ingest/ingest_pipeline.h"
#include "services/cacheclip/documents/document_files.h"

namespace cacheclip {

class DocumentSet {
 public:
  // Errors as ListDocumentFiles(); UNAVAILABLE for a .jsonl file that cannot be read.
  static absl::StatusOr<DocumentSet> Open(const std::vector<std::string>& sources,
                                          const ObjectClientSettings& s3 = {});

  int64_t size() const { return static_cast<int64_t>(entries_.size()); }

  // INVALID_ARGUMENT for a line that is no document, UNAVAILABLE for a file that cannot be read; the message
  // begins with the file, and the line if there is one.
  absl::StatusOr<SourceDocument> Read(int64_t index) const;

  // Over names and contents (size and time of what lies in a bucket): whether two workers mean the same set.
  // Reads every local file. UNAVAILABLE for a file that cannot be read.
  absl::StatusOr<Digest> Identity() const;

 private:
  struct Entry {
    int64_t begin = 0, num_bytes = 0;
    uint32_t file = 0;
    int32_t line = 0;  // from 1; 0 = the whole file
  };
  absl::Status AddLines(uint32_t file);
  absl::StatusOr<SourceDocument> ReadFile(const DocumentFile& file) const;
  absl::StatusOr<SourceDocument> ReadLine(const DocumentFile& file, const Entry& entry) const;

  std::vector<DocumentFile> files_;
  std::vector<Entry> entries_;
  std::vector<int64_t> naming_;  // entries whose lines may name a file
};

}  // namespace cacheclip
