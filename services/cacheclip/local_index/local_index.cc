#include "services/cacheclip/local_index/local_index.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/catalog/sqlite_database.h"

namespace cacheclip {
namespace {

// A passage's text lies in the full-text table under the same rowid; titles weigh twice (see kSearch).
constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS passages (
  passage_id INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  document_id TEXT NOT NULL,
  chunk_id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS passages_by_document ON passages (namespace, document_id);
CREATE VIRTUAL TABLE IF NOT EXISTS passage_texts
  USING fts5 (title, text, tokenize = 'porter unicode61 remove_diacritics 2');
)sql";

// bm25() is lower for better matches.
constexpr std::string_view kSearch =
    "SELECT chunk_id, document_id, -bm25(passage_texts, 2.0, 1.0) AS score FROM passage_texts"
    " JOIN passages ON passage_id = passage_texts.rowid WHERE passage_texts MATCH ? AND namespace = ?"
    " ORDER BY score DESC, passage_id";

constexpr std::string_view kStopWords[] = {  // sorted
    "a",      "about", "after", "all",  "also", "am",    "an",    "and",  "any",  "are",   "as",    "at",
    "be",     "been",  "but",   "by",   "can",  "could", "did",   "do",   "does", "each",  "for",   "from",
    "had",    "has",   "have",  "he",   "her",  "his",   "how",   "i",    "if",   "in",    "into",  "is",
    "it",     "its",   "me",    "most", "my",   "no",    "not",   "of",   "on",   "or",    "our",   "she",
    "should", "so",    "some",  "than", "that", "the",   "their", "them", "then", "there", "these", "they",
    "this",   "those", "to",    "us",   "was",  "we",    "were",  "what", "when", "where", "which", "who",
    "whom",   "whose", "why",   "will", "with", "would", "you",   "your"};

bool IsStopWord(std::string_view word) {
  return std::binary_search(std::begin(kStopWords), std::end(kStopWords), word);
}

// Runs of ASCII letters and digits and of bytes beyond ASCII, in lower case where ASCII; none can hold a
// quote.
std::vector<std::string> Words(std::string_view question) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : question) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) >= 0x80) {
      word += absl::ascii_tolower(static_cast<unsigned char>(c));
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

absl::Status RemoveDocument(SqliteDatabase& database, std::string_view namespace_name,
                            std::string_view document_id) {
  CACHECLIP_RETURN_IF_ERROR(
      database
          .Run("DELETE FROM passage_texts WHERE rowid IN"
               " (SELECT passage_id FROM passages WHERE namespace = ? AND document_id = ?)",
               namespace_name, document_id)
          .status());
  return database
      .Run("DELETE FROM passages WHERE namespace = ? AND document_id = ?", namespace_name, document_id)
      .status();
}

absl::Status InsertPassage(SqliteDatabase& database, std::string_view namespace_name,
                           std::string_view document_id, const Passage& passage) {
  CACHECLIP_RETURN_IF_ERROR(
      database
          .Run("INSERT INTO passages (namespace, document_id, chunk_id) VALUES (?, ?, ?)", namespace_name,
               document_id, passage.chunk_id)
          .status());
  return database
      .Run("INSERT INTO passage_texts (rowid, title, text) VALUES (last_insert_rowid(), ?, ?)", passage.title,
           passage.text)
      .status();
}

}  // namespace

std::string MatchExpression(std::string_view question) {
  const std::vector<std::string> words = Words(question);
  std::vector<std::string> quoted;
  std::set<std::string> seen;
  for (const bool keep_stop_words : {false, true}) {
    for (const std::string& word : words) {
      if (quoted.size() == LocalIndex::kMaxQuestionWords) break;
      if ((keep_stop_words || !IsStopWord(word)) && seen.insert(word).second)
        quoted.push_back(absl::StrCat("\"", word, "\""));
    }
    if (!quoted.empty()) break;
  }
  return absl::StrJoin(quoted, " OR ");
}

LocalIndex::LocalIndex(std::unique_ptr<SqliteDatabase> database) : database_(std::move(database)) {}
LocalIndex::~LocalIndex() = default;

absl::StatusOr<std::unique_ptr<LocalIndex>> LocalIndex::Open(const std::string& path) {
  CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<SqliteDatabase> database, SqliteDatabase::Open({.path = path}));
  SqliteTransaction transaction(*database);
  CACHECLIP_RETURN_IF_ERROR(transaction.BeginWrite());
  CACHECLIP_RETURN_IF_ERROR(database->Execute(kSchema));
  CACHECLIP_RETURN_IF_ERROR(transaction.Commit());
  return std::unique_ptr<LocalIndex>(new LocalIndex(std::move(database)));
}

absl::Status LocalIndex::Upsert(std::string_view namespace_name, std::string_view document_id,
                                std::span<const Passage> passages) {
  std::lock_guard lock(mutex_);
  SqliteTransaction transaction(*database_);
  CACHECLIP_RETURN_IF_ERROR(transaction.BeginWrite());
  CACHECLIP_RETURN_IF_ERROR(RemoveDocument(*database_, namespace_name, document_id));
  for (const Passage& passage : passages)
    CACHECLIP_RETURN_IF_ERROR(InsertPassage(*database_, namespace_name, document_id, passage));
  return transaction.Commit();
}

absl::Status LocalIndex::Remove(std::string_view namespace_name, std::string_view document_id) {
  return Upsert(namespace_name, document_id, {});
}

absl::StatusOr<std::vector<SearchResult>> LocalIndex::Search(std::string_view namespace_name,
                                                             std::string_view question,
                                                             const SearchOptions& options) {
  if (options.limit < 1 || options.limit > kMaxResults)
    return InvalidField("limit",
                        absl::StrCat("must be between 1 and ", kMaxResults, ", got ", options.limit));
  if (options.max_per_document < 0)
    return InvalidField("max_per_document",
                        absl::StrCat("must not be negative, got ", options.max_per_document));
  const std::string expression = MatchExpression(question);
  std::vector<SearchResult> results;
  if (expression.empty()) return results;

  std::lock_guard lock(mutex_);
  CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row, database_->Query(kSearch, expression, namespace_name));
  std::map<std::string, int> per_document;
  std::set<std::string> chunk_ids;  // a chunk that several documents share is one result
  while (static_cast<int>(results.size()) < options.limit) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool found, row.Step());
    if (!found) break;
    SearchResult result{.chunk_id = row.Text(0), .document_id = row.Text(1), .score = row.Real(2)};
    if (chunk_ids.contains(result.chunk_id)) continue;
    int& num_of_document = per_document[result.document_id];
    if (options.max_per_document > 0 && num_of_document == options.max_per_document) continue;
    ++num_of_document;
    chunk_ids.insert(result.chunk_id);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace cacheclip
