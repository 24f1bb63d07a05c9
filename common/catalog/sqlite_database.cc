#include "common/catalog/sqlite_database.h"

#include <sqlite3.h>

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"

namespace cacheclip {
namespace {

absl::StatusCode CodeOf(int result) {
  switch (result & 0xff) {  // the low byte is the primary code
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
      return absl::StatusCode::kUnavailable;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

// FULL: what was acknowledged survives a power loss. The -wal file is kept on closing, so that read-only
// processes without write permission to the folder can always open the database; its size is bounded between
// checkpoints.
constexpr char kWriterPragmas[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
    "PRAGMA journal_size_limit = 16777216;";
constexpr char kReaderPragmas[] = "PRAGMA query_only = ON;";

}  // namespace

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      num_bound_(other.num_bound_),
      bind_result_(other.bind_result_) {}

SqliteStatement::~SqliteStatement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  database_->idle_.emplace(sqlite3_sql(statement_), statement_);
}

void SqliteStatement::Bind(int64_t value) {
  const int result = sqlite3_bind_int64(statement_, ++num_bound_, value);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
}

void SqliteStatement::Bind(std::string_view value) {
  // A null pointer would bind NULL; an empty view may hold one.
  const char* data = value.empty() ? "" : value.data();
  const int result =
      sqlite3_bind_text64(statement_, ++num_bound_, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
}

void SqliteStatement::Bind(const std::vector<int32_t>& value) {
  static_assert(std::endian::native == std::endian::little, "blobs hold little-endian integers");
  const void* data = value.empty() ? static_cast<const void*>("") : value.data();
  const int result =
      sqlite3_bind_blob64(statement_, ++num_bound_, data, value.size() * sizeof(int32_t), SQLITE_TRANSIENT);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
}

absl::StatusOr<bool> SqliteStatement::Step() {
  if (bind_result_ != SQLITE_OK) return database_->Error(bind_result_);
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return database_->Error(result);
}

absl::Status SqliteStatement::Run() {
  for (;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

int64_t SqliteStatement::Int(int column) const { return sqlite3_column_int64(statement_, column); }
double SqliteStatement::Real(int column) const { return sqlite3_column_double(statement_, column); }

std::string SqliteStatement::Text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);  // before column_bytes: it may convert
  const int num_bytes = sqlite3_column_bytes(statement_, column);
  return num_bytes == 0 ? std::string() : std::string(static_cast<const char*>(data), num_bytes);
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const SqliteOptions& options) {
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(options.path));
  const int flags = (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int result = sqlite3_open_v2(options.path.c_str(), &database->handle_, flags, nullptr);
  if (result != SQLITE_OK) return database->Error(result);
  sqlite3_busy_timeout(database->handle_, static_cast<int>(absl::ToInt64Milliseconds(options.busy_timeout)));
  if (!options.read_only) {
    int persist = 1;
    sqlite3_file_control(database->handle_, nullptr, SQLITE_FCNTL_PERSIST_WAL, &persist);
  }
  CACHECLIP_RETURN_IF_ERROR(database->Execute(options.read_only ? kReaderPragmas : kWriterPragmas));
  return database;
}

SqliteDatabase::~SqliteDatabase() {
  for (auto& [sql, statement] : idle_) sqlite3_finalize(statement);
  const int result = sqlite3_close(handle_);
  CACHECLIP_CHECK(result == SQLITE_OK) << path_ << " was closed while a statement was in use";
}

absl::Status SqliteDatabase::Execute(const std::string& sql) {
  const int result = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : Error(result);
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Prepare(std::string_view sql) {
  if (const auto found = idle_.find(sql); found != idle_.end()) {
    sqlite3_stmt* statement = found->second;
    idle_.erase(found);
    return SqliteStatement(this, statement);
  }
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) return Error(result);
  return SqliteStatement(this, statement);
}

absl::Status SqliteDatabase::Error(int result) const {
  const char* detail = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(result);
  return absl::Status(CodeOf(result), absl::StrCat(path_, ": ", detail, " (SQLite code ", result, ")"));
}

int64_t SqliteDatabase::num_changes() const { return sqlite3_changes64(handle_); }

SqliteTransaction::~SqliteTransaction() {
  // SQLite rolls back by itself when the disk is full; there is nothing left to do then.
  if (!open_ || sqlite3_get_autocommit(database_.handle_)) return;
  if (absl::Status status = database_.Execute("ROLLBACK"); !status.ok()) {
    CACHECLIP_LOG(Warning) << "rollback: " << status;
  }
}

absl::Status SqliteTransaction::BeginRead() {
  CACHECLIP_RETURN_IF_ERROR(database_.Execute("BEGIN"));
  open_ = true;
  return absl::OkStatus();
}

absl::Status SqliteTransaction::BeginWrite() {
  CACHECLIP_RETURN_IF_ERROR(database_.Execute("BEGIN IMMEDIATE"));
  open_ = true;
  return absl::OkStatus();
}

absl::Status SqliteTransaction::Commit() {
  CACHECLIP_RETURN_IF_ERROR(database_.Execute("COMMIT"));
  open_ = false;
  return absl::OkStatus();
}

}  // namespace cacheclip
