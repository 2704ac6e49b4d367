// The only file that knows SQLite.
//
// WAL with synchronous=NORMAL: no sync but at checkpoints, which happen within write(), and a power
// cut leaves a table that was there before. (OFF would be faster, and could leave pages of two
// times, which nobody can tell from sound ones.) The VFS "unix-excl" keeps other processes out and
// the WAL's index in memory, where SQLite by itself would map a file: a full disk can't kill us.
#include "src/attribute_database.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>

#include "src/descriptor.h"
#include "src/guarded.h"

namespace spillway {
namespace {

constexpr int kApplication = 0x53505741;  // "SPWA"
constexpr int kVersion = 1;

constexpr const char* kTable =
    "CREATE TABLE attributes(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, "
    "size INTEGER NOT NULL, etag BLOB NOT NULL, modified INTEGER NOT NULL, "
    "is_exact INTEGER NOT NULL, version_id BLOB NOT NULL, content_type BLOB NOT NULL, "
    "metadata BLOB NOT NULL) STRICT";

// Longer than anything that is written; SQLite refuses to read more from a hostile file.
constexpr int kLongestValue = 1 << 16;

constexpr std::size_t kLongestWord = 1'024;    // ETag, version id, content type
constexpr std::size_t kMostMetadata = 16'384;  // with names; B2 takes 7 KB

std::uint64_t to_unsigned(std::int64_t number) { return static_cast<std::uint64_t>(number); }

// --- SQLite's handles

struct CloseConnection {
  void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;

int errno_of(int code, sqlite3* connection) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR:  // "no such column": the schema is not ours
      return EUCLEAN;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return EBUSY;
    case SQLITE_FULL:
      return ENOSPC;
    case SQLITE_READONLY:
      return EROFS;
    case SQLITE_NOMEM:
      return ENOMEM;
    default:
      break;
  }
  const int system = connection == nullptr ? 0 : sqlite3_system_errno(connection);
  return system == 0 ? EIO : system;
}

std::unexpected<Error> failure(int code, sqlite3* connection) {
  return fail_errno(errno_of(code, connection), fmt::format("sqlite: {}", sqlite3_errstr(code)));
}

Result<> execute(sqlite3* connection, const char* sql) {
  const int code = sqlite3_exec(connection, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(code, connection);
  return {};
}

class Statement {
 public:
  static Result<Statement> make(const Connection& connection, const char* sql) {
    Statement made;
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(connection.get(), sql, -1, SQLITE_PREPARE_PERSISTENT,
                                        &statement, nullptr);
    made.statement_.reset(statement);
    if (code != SQLITE_OK) return failure(code, connection.get());
    return made;
  }

  void bind(int place, std::string_view bytes) {
    static constexpr const char* kNothing = "";  // a null pointer would be NULL
    sqlite3_bind_blob64(get(), place, bytes.empty() ? kNothing : bytes.data(), bytes.size(),
                        SQLITE_TRANSIENT);
  }
  void bind(int place, std::int64_t number) { sqlite3_bind_int64(get(), place, number); }

  // Whether there is a row.
  Result<bool> step() {
    const int code = sqlite3_step(get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return failure(code, sqlite3_db_handle(get()));
  }
  [[nodiscard]] std::int64_t number(int column) { return sqlite3_column_int64(get(), column); }
  [[nodiscard]] std::string bytes(int column) {
    const void* const data = sqlite3_column_blob(get(), column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(get(), column));
    return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
  }
  void reset() {
    sqlite3_reset(get());
    sqlite3_clear_bindings(get());
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  [[nodiscard]] sqlite3_stmt* get() { return statement_.get(); }
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// A statement that was stepped holds its snapshot, and the WAL grows, until it is reset.
class Use {
 public:
  explicit Use(Statement& statement) : statement_(statement) {}
  ~Use() { statement_.reset(); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  Statement* operator->() { return &statement_; }

 private:
  Statement& statement_;
};

Result<std::int64_t> number_from(const Connection& connection, const char* sql) {
  auto statement = TRY(Statement::make(connection, sql));
  return TRY(statement.step()) ? statement.number(0) : 0;
}

// --- metadata as one value: name NUL value NUL …, neither of which holds a NUL

std::string to_bytes(const MetadataMap& metadata) {
  std::string bytes;
  for (const auto& [name, value] : metadata) {
    bytes += name;
    bytes += '\0';
    bytes += value;
    bytes += '\0';
  }
  return bytes;
}

MetadataMap metadata_in(std::string_view bytes) {
  const auto take = [&]() -> std::string {
    const auto end = std::min(bytes.find('\0'), bytes.size());
    std::string word(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    return word;
  };
  MetadataMap metadata;
  while (!bytes.empty()) {
    std::string name = take();
    metadata.insert_or_assign(std::move(name), take());
  }
  return metadata;
}

bool is_storable_metadata(const MetadataMap& metadata) {
  std::size_t size = 0;
  for (const auto& [name, value] : metadata) {
    if (name.contains('\0') || value.contains('\0')) return false;
    size += name.size() + value.size() + 2;
  }
  return size <= kMostMetadata;
}

RememberedObject object_in(Statement& row) {
  using Source = VersionIdentity::Source;
  RememberedObject object;
  object.identity = {.size = to_unsigned(row.number(0)),
                     .etag = row.bytes(1),
                     .modified = WallTime(std::chrono::nanoseconds(row.number(2))),
                     .source = row.number(3) == 1 ? Source::listing : Source::answer};
  object.version_id = row.bytes(4);
  object.content_type = row.bytes(5);
  object.metadata = metadata_in(row.bytes(6));
  return object;
}

// --- opening

// SQLite would make it readable for others; and never through a link to somewhere else.
Result<> make_file(const std::string& file) {
  const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  const Descriptor opened(::open(file.c_str(), flags, 0600));
  struct stat status {};
  if (!opened.is_open() || fstat(opened.get(), &status) != 0) return fail_errno(errno, file);
  if (!S_ISREG(status.st_mode)) return fail_errno(EINVAL, file);
  if (fchmod(opened.get(), 0600) != 0) return fail_errno(errno, file);
  return {};
}

Result<Connection> connect(const std::string& file) {
  sqlite3* opened = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(file.c_str(), &opened, flags, "unix-excl");
  Connection connection(opened);
  if (code != SQLITE_OK) return failure(code, opened);
  sqlite3_limit(opened, SQLITE_LIMIT_LENGTH, kLongestValue);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  // The cache: what a connection holds of the file in memory, in KiB.
  TRY(execute(opened, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; "
                      "PRAGMA synchronous=NORMAL; PRAGMA cache_size=-1024;"));
  return connection;
}

Result<> create_table(const Connection& connection) {
  const auto sql = fmt::format("BEGIN IMMEDIATE; {}; PRAGMA application_id={}; "
                               "PRAGMA user_version={}; COMMIT;",
                               kTable, kApplication, kVersion);
  return execute(connection.get(), sql.c_str());
}

Result<> check_table(const Connection& connection) {
  auto statement = TRY(Statement::make(
      connection, "SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"));
  const bool is_ours = TRY(statement.step()) && statement.bytes(0) == kTable;
  if (!is_ours || TRY(statement.step())) return fail_errno(EUCLEAN, "other tables");
  return {};
}

// Looks before it changes anything: the file may be somebody's.
Result<> prepare_table(const Connection& connection) {
  const auto application = TRY(number_from(connection, "PRAGMA application_id"));
  const auto version = TRY(number_from(connection, "PRAGMA user_version"));
  const auto tables = TRY(number_from(connection, "SELECT count(*) FROM sqlite_schema"));
  const bool is_new = application == 0 && version == 0 && tables == 0;
  if (!is_new && application != kApplication) {
    return fail_errno(EUCLEAN, "a database of another program");
  }
  if (!is_new && version != kVersion) return fail_errno(ESTALE, "a database of another version");
  if (!is_new) TRY(check_table(connection));
  // What a long WAL took of the disk is given back.
  TRY(execute(connection.get(), "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=4194304;"));
  return is_new ? create_table(connection) : Result<>();
}

// --- the table

struct Reader {
  Connection connection;
  Statement find;
  Statement below;
};

struct Writer {
  Connection connection;
  Statement remove;
  Statement insert;
  Statement remove_oldest;
  std::optional<std::int64_t> rows;  // counted at the first write
};

Result<Reader> make_reader(const std::string& file) {
  auto connection = TRY(connect(file));
  auto find = TRY(Statement::make(
      connection, "SELECT size, etag, modified, is_exact, version_id, content_type, metadata "
                  "FROM attributes WHERE key = ?"));
  auto below = TRY(Statement::make(
      connection, "SELECT 1 FROM attributes WHERE key >= ? AND key < ? LIMIT 1"));
  return Reader{std::move(connection), std::move(find), std::move(below)};
}

Result<Writer> make_writer(const std::string& file) {
  auto connection = TRY(connect(file));
  TRY(prepare_table(connection));
  auto remove = TRY(Statement::make(connection, "DELETE FROM attributes WHERE key = ?"));
  auto insert = TRY(Statement::make(
      connection, "INSERT INTO attributes(key, size, etag, modified, is_exact, version_id, "
                  "content_type, metadata) VALUES(?, ?, ?, ?, ?, ?, ?, ?)"));
  auto remove_oldest = TRY(Statement::make(
      connection,
      "DELETE FROM attributes WHERE id IN (SELECT id FROM attributes ORDER BY id LIMIT ?)"));
  return Writer{std::move(connection), std::move(remove), std::move(insert),
                std::move(remove_oldest), {}};
}

class SqliteDatabase final : public AttributeDatabase {
 public:
  SqliteDatabase(std::string file, const AttributeCacheSettings& settings, Executor& executor,
                 Reader reader, Writer writer)
      : directory_(std::filesystem::path(file).parent_path()),
        settings_(settings),
        writer_(executor, std::move(writer)),
        reader_(executor, std::move(reader)) {}

  Result<std::optional<RememberedObject>> find(const Key& key) override;
  Result<bool> has_below(const std::string& prefix) override;
  Result<> write(const Changes& changes) override;

 private:
  Result<> check_space() const;
  static Result<> apply(Writer& writer, const Key& key,
                        const std::optional<RememberedObject>& object);
  Result<> apply_all(Writer& writer, const Changes& changes) const;
  Result<> drop_oldest(Writer& writer) const;

  const std::string directory_;
  const AttributeCacheSettings settings_;
  Guarded<Writer> writer_;
  Guarded<Reader> reader_;
};

Result<std::optional<RememberedObject>> SqliteDatabase::find(const Key& key) {
  auto reader = reader_.lock();
  Use query(reader->find);
  query->bind(1, key);
  if (!TRY(query->step())) return std::nullopt;
  auto object = object_in(reader->find);
  if (!is_storable(key, object)) return std::nullopt;
  return object;
}

Result<bool> SqliteDatabase::has_below(const std::string& prefix) {
  std::string end = prefix;
  if (end.empty()) return false;
  end.back() = static_cast<char>(end.back() + 1);
  auto reader = reader_.lock();
  Use query(reader->below);
  query->bind(1, prefix);
  query->bind(2, end);
  return query->step();
}

Result<> SqliteDatabase::check_space() const {
  struct statvfs disk {};
  if (statvfs(directory_.c_str(), &disk) != 0) return fail_errno(errno, directory_);
  const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free < settings_.reserve_bytes) return fail_errno(ENOSPC, "the disk's reserve");
  return {};
}

Result<> SqliteDatabase::apply(Writer& writer, const Key& key,
                               const std::optional<RememberedObject>& object) {
  Use remove(writer.remove);
  remove->bind(1, key);
  TRY(remove->step());
  *writer.rows -= sqlite3_changes(writer.connection.get());
  if (!object) return {};
  const VersionIdentity& identity = object->identity;
  Use insert(writer.insert);
  insert->bind(1, key);
  insert->bind(2, static_cast<std::int64_t>(identity.size));
  insert->bind(3, identity.etag);
  insert->bind(4, identity.modified.time_since_epoch().count());
  insert->bind(5, std::int64_t{identity.source == VersionIdentity::Source::listing});
  insert->bind(6, object->version_id);
  insert->bind(7, object->content_type);
  insert->bind(8, to_bytes(object->metadata));
  TRY(insert->step());
  ++*writer.rows;
  return {};
}

Result<> SqliteDatabase::drop_oldest(Writer& writer) const {
  const auto excess = *writer.rows - static_cast<std::int64_t>(settings_.most_objects);
  if (excess <= 0) return {};
  Use remove(writer.remove_oldest);
  remove->bind(1, excess);
  TRY(remove->step());
  *writer.rows -= sqlite3_changes(writer.connection.get());
  return {};
}

Result<> SqliteDatabase::apply_all(Writer& writer, const Changes& changes) const {
  TRY(execute(writer.connection.get(), "BEGIN IMMEDIATE"));
  if (!writer.rows) {
    writer.rows = TRY(number_from(writer.connection, "SELECT count(*) FROM attributes"));
  }
  for (const auto& [key, object] : changes) TRY(apply(writer, key, object));
  TRY(drop_oldest(writer));
  return execute(writer.connection.get(), "COMMIT");
}

Result<> SqliteDatabase::write(const Changes& changes) {
  TRY(check_space());
  auto writer = writer_.lock();
  auto written = apply_all(*writer, changes);
  if (written.ok()) return {};
  writer->rows.reset();
  static_cast<void>(execute(writer->connection.get(), "ROLLBACK"));
  return written;
}

}  // namespace

Result<std::unique_ptr<AttributeDatabase>> open_attribute_database(
    const std::string& file, const AttributeCacheSettings& settings, Executor& executor) {
  TRY(make_file(file));
  auto writer = TRY(make_writer(file));
  auto reader = TRY(make_reader(file));
  return std::make_unique<SqliteDatabase>(file, settings, executor, std::move(reader),
                                          std::move(writer));
}

Result<> remove_attribute_database(const std::string& file) {
  for (const auto* beside : {"-wal", "-journal", "-shm", ""}) {
    const std::string name = file + beside;
    if (unlink(name.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, name);
  }
  return {};
}

Result<> rename_attribute_database(const std::string& file, const std::string& to) {
  if (std::rename(file.c_str(), to.c_str()) != 0) return fail_errno(errno, file);
  return remove_attribute_database(file);
}

bool is_storable(const Key& key, const RememberedObject& object) {
  const auto is_short = [](const std::string& word) { return word.size() <= kLongestWord; };
  return !key.empty() && key.size() <= kLongestKey && object.identity.size <= kLargestObject &&
         object.identity.modified != WallTime() && !object.identity.etag.empty() &&
         is_short(object.identity.etag) && is_short(object.version_id) &&
         is_short(object.content_type) && is_storable_metadata(object.metadata);
}

}  // namespace spillway
