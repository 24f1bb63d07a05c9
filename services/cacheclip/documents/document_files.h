// The files that documents are read from: local files and folders, patterns of them, and prefixes of an S3
// bucket. Found once, in a stable order; read in parts. Thread-safe after listing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/hash.h"
#include "common/store/object/object_client_factory.h"

namespace cacheclip {

inline constexpr int64_t kMaxDocumentFiles = 20'000'000;
inline constexpr int64_t kMaxDocumentFileBytes = int64_t{256} << 20;

enum class DocumentFileKind { kText, kMarkdown, kJsonLines };

struct DocumentFile {
  std::string path;  // of a local file, or the object's name
  std::string id;    // relative to the folder, pattern or prefix that was named
  DocumentFileKind kind = DocumentFileKind::kText;
  int64_t num_bytes = 0;
  std::shared_ptr<ObjectClient> objects;       // null: a local file
  absl::Time modified = absl::InfinitePast();  // of an object; infinite past: not asked yet

  std::string Name() const;  // for messages: "folder/a.md", "s3://bucket/prefix/a.md"
  // Fewer bytes than `num_bytes` only at the file's end. RESOURCE_EXHAUSTED above kMaxDocumentFileBytes.
  absl::StatusOr<std::string> Read(int64_t offset, int64_t num_bytes) const;
  // Changes when the content does: a digest over it, or over size and time of an object, which is not read.
  absl::StatusOr<Digest> Fingerprint() const;
};

// Each source is a file (.txt, .md, .jsonl), a folder (walked, other files left out), a pattern with * ? [ ]
// (files and folders), or s3://bucket/prefix, for which `s3` has endpoint and credentials. In order of the
// sources, by id within each. NOT_FOUND naming a source that matches nothing; INVALID_ARGUMENT for a file of
// another kind that was named itself.
absl::StatusOr<std::vector<DocumentFile>> ListDocumentFiles(const std::vector<std::string>& sources,
                                                            const ObjectClientSettings& s3);

}  // namespace cacheclip
