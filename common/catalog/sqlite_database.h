// A thin, typed face on SQLite: open, query, transaction, errors as absl::Status. The only way to SQLite in
// the project; its .cc is the only file that includes sqlite3.h.
//
//   CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement row, database.Query("SELECT a FROM t WHERE b = ?", name));
//   CACHECLIP_ASSIGN_OR_RETURN(bool found, row.Step());
//   if (found) use(row.Text(0));
//
// Statements are prepared once per text and kept (texts must be constants, so their number is bounded). Not
// thread-safe: the owner holds a mutex. Statements and transactions must end before their database.
// Errors: UNAVAILABLE busy or I/O, RESOURCE_EXHAUSTED disk full or value too big, DATA_LOSS not a sound
// database file, FAILED_PRECONDITION read-only, INTERNAL anything else.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace cacheclip {

class SqliteDatabase;

struct SqliteOptions {
  std::string path;
  bool read_only = false;                          // else created if missing, in WAL mode
  absl::Duration busy_timeout = absl::Seconds(5);  // how long to wait for another process's lock
};

class SqliteStatement {
 public:
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&&) = delete;
  ~SqliteStatement();  // gives the prepared statement back

  // Moves to the next row; false when there is none. Columns may be read after true.
  absl::StatusOr<bool> Step();
  absl::Status Run();  // steps to the end

  int64_t Int(int column) const;
  double Real(int column) const;
  std::string Text(int column) const;  // text or blob, all its bytes

 private:
  friend class SqliteDatabase;
  SqliteStatement(SqliteDatabase* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}
  void Bind(int64_t value);
  void Bind(std::string_view value);
  void Bind(const std::vector<int32_t>& value);  // a blob of little-endian 32-bit integers

  SqliteDatabase* database_;
  sqlite3_stmt* statement_;
  int num_bound_ = 0;
  int bind_result_ = 0;
};

class SqliteDatabase {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(const SqliteOptions& options);
  ~SqliteDatabase();

  // Several statements without parameters or results: schema, pragmas.
  absl::Status Execute(const std::string& sql);

  // One statement, its `?` bound to the arguments in order: integers, text, vector<int32_t>.
  template <typename... Arguments>
  absl::StatusOr<SqliteStatement> Query(std::string_view sql, const Arguments&... arguments) {
    CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
    (statement.Bind(arguments), ...);
    return statement;
  }
  // The same for a statement without rows; returns how many rows it changed.
  template <typename... Arguments>
  absl::StatusOr<int64_t> Run(std::string_view sql, const Arguments&... arguments) {
    CACHECLIP_ASSIGN_OR_RETURN(SqliteStatement statement, Query(sql, arguments...));
    CACHECLIP_RETURN_IF_ERROR(statement.Run());
    return num_changes();
  }

  const std::string& path() const { return path_; }

 private:
  friend class SqliteStatement;
  friend class SqliteTransaction;
  explicit SqliteDatabase(std::string path) : path_(std::move(path)) {}
  absl::StatusOr<SqliteStatement> Prepare(std::string_view sql);
  absl::Status Error(int result) const;
  int64_t num_changes() const;

  const std::string path_;
  sqlite3* handle_ = nullptr;
  std::multimap<std::string, sqlite3_stmt*, std::less<>> idle_;  // prepared statements that nobody uses
};

// BEGIN … COMMIT; rolls back unless committed.
class SqliteTransaction {
 public:
  explicit SqliteTransaction(SqliteDatabase& database) : database_(database) {}
  ~SqliteTransaction();
  absl::Status BeginRead();   // a consistent snapshot
  absl::Status BeginWrite();  // takes the file's write lock now
  absl::Status Commit();

 private:
  SqliteDatabase& database_;
  bool open_ = false;
};

}  // namespace cacheclip
