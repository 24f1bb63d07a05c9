// Full-text retrieval for `cacheclip ask`: which chunks of a namespace speak about a question. A helper
// beside the catalogue, in a file of its own (SQLite FTS5, Porter stemming, BM25), not part of any service
// contract; a real deployment brings its own retriever.
//
// A question is plain text: its words are quoted before they reach FTS5, so operators in it are words like
// any other; stop words are dropped unless nothing else is left; the remaining words are joined by OR.
// Thread-safe. Several processes may open the file. Limits: kMaxQuestionWords words are used, kMaxResults
// results returned.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cacheclip {

class SqliteDatabase;

struct Passage {
  std::string chunk_id;
  std::string title;
  std::string text;
};

struct SearchOptions {
  int limit = 8;             // results, 1 … LocalIndex::kMaxResults
  int max_per_document = 0;  // results from one document; 0: no bound
};

struct SearchResult {
  std::string chunk_id;
  std::string document_id;
  double score = 0;  // BM25, higher is better
};

class LocalIndex {
 public:
  static constexpr int kMaxQuestionWords = 64;
  static constexpr int kMaxResults = 1000;

  // Creates the file if there is none; its folder must exist.
  static absl::StatusOr<std::unique_ptr<LocalIndex>> Open(const std::string& path);
  ~LocalIndex();

  // Replaces the document's passages.
  absl::Status Upsert(std::string_view namespace_name, std::string_view document_id,
                      std::span<const Passage> passages);
  absl::Status Remove(std::string_view namespace_name, std::string_view document_id);  // OK if there is none

  // Best first; empty if no word of the question occurs.
  absl::StatusOr<std::vector<SearchResult>> Search(std::string_view namespace_name, std::string_view question,
                                                   const SearchOptions& options = {});

 private:
  explicit LocalIndex(std::unique_ptr<SqliteDatabase> database);

  std::mutex mutex_;
  std::unique_ptr<SqliteDatabase> database_;
};

// The FTS5 expression for a question; "" if it has no word. Exposed for its tests.
std::string MatchExpression(std::string_view question);

}  // namespace cacheclip
