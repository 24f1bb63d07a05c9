// The catalogue in one SQLite file, shared by the processes of a machine. The ingestion process opens it with
// Open(); generation and selector open the same file with OpenReadOnly() and see each commit at their next
// look-up, whether the writer lives or was killed. WAL mode, one connection per object behind a mutex, every
// call one transaction; a kill at any moment leaves the state before or after the call.
//
// A read-only catalogue may be opened before the file exists: its calls answer UNAVAILABLE until a writer has
// made it. Its writes answer FAILED_PRECONDITION. A file of another schema version is refused by name. A busy
// file is waited for at most `busy_timeout`, then UNAVAILABLE. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/catalog/catalog.h"

namespace cacheclip {

class SqliteDatabase;

struct SqliteCatalogOptions {
  std::string path;                                // of the file; its folder must exist
  absl::Duration busy_timeout = absl::Seconds(5);  // how long another process may hold the file
  const Clock* clock = RealClock();                // must outlive the catalogue
};

class SqliteCatalog : public Catalog {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteCatalog>> Open(SqliteCatalogOptions options);
  static std::unique_ptr<SqliteCatalog> OpenReadOnly(SqliteCatalogOptions options);
  ~SqliteCatalog() override;

  absl::StatusOr<Namespace> PutNamespace(std::string_view name) override;
  absl::StatusOr<Namespace> GetNamespace(std::string_view name) override;
  absl::StatusOr<std::vector<Namespace>> ListNamespaces() override;
  absl::Status PutPrefix(const Prefix& prefix) override;
  absl::StatusOr<Prefix> GetPrefix(std::string_view namespace_name, std::string_view prefix_id) override;
  absl::StatusOr<std::vector<Prefix>> ListPrefixes(std::string_view namespace_name) override;
  absl::StatusOr<std::vector<std::string>> PutDocument(const Document& document,
                                                       std::span<const ChunkRecord> chunks) override;
  absl::StatusOr<Document> GetDocument(std::string_view namespace_name,
                                       std::string_view document_id) override;
  absl::StatusOr<DocumentPage> ListDocuments(std::string_view namespace_name, int page_size,
                                             std::string_view page_token) override;
  absl::StatusOr<std::vector<std::string>> DeleteDocument(std::string_view namespace_name,
                                                          std::string_view document_id) override;
  absl::StatusOr<std::vector<std::optional<ChunkRecord>>> ResolveChunks(
      std::string_view namespace_name, std::span<const std::string> chunk_ids) override;
  absl::Status PinChunks(std::string_view namespace_name, std::span<const std::string> chunk_ids,
                         std::string_view owner, absl::Time expire_time) override;
  absl::StatusOr<int64_t> UnpinChunks(std::string_view namespace_name, std::span<const std::string> chunk_ids,
                                      std::string_view owner) override;
  absl::StatusOr<PinPage> ListPins(std::string_view namespace_name, int page_size,
                                   std::string_view page_token) override;
  absl::StatusOr<Removal> SweepExpired() override;
  absl::StatusOr<Removal> TrimDocuments(const TrimFilter& filter) override;
  absl::StatusOr<CatalogCheck> Verify() override;
  absl::StatusOr<Removal> Repair() override;  // drops chunks that no document uses

 private:
  SqliteCatalog(SqliteCatalogOptions options, bool read_only);

  const SqliteCatalogOptions options_;
  const bool read_only_;
  std::mutex mutex_;
  std::unique_ptr<SqliteDatabase> database_;
  std::pair<uint64_t, uint64_t> file_identity_;  // device and inode of what is open (read-only)

  // Runs `body(database)` under the mutex in one transaction; commits if it returns OK, else rolls back.
  template <typename Body>
  auto Read(Body body) -> decltype(body(*database_));
  template <typename Body>
  auto Write(Body body) -> decltype(body(*database_));

  absl::Status EnsureOpen();  // read-only: opens, or reopens a file that was replaced
};

}  // namespace cacheclip
