// What `mount`, `check`, `put` and `get` are composed of: log, threads, store, shadow and the file
// system over them, built in that order by the steps below and taken down in the reverse one. The
// only place that knows s3/ and the core at once.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "src/cli/deferred_shadow.h"
#include "src/cli/settings.h"
#include "src/disk.h"
#include "src/engine.h"
#include "src/startup.h"

namespace spillway::cli {

// Where the log goes unless --log-file says: `daemon` and `foreground` as make_log() chooses,
// `warnings` to stderr without what is only informative, `file_only` nowhere.
enum class LogUse : std::uint8_t { daemon, foreground, warnings, file_only };

// How a command that runs beside a mount takes the shadow's lock: only to divert, or at once if
// nobody holds it.
enum class ShadowUse : std::uint8_t { to_divert, if_free };

class Composition {
 public:
  // Opens the log; nothing else yet. Prints the settings' warnings.
  static Result<std::unique_ptr<Composition>> create(Settings settings, LogUse use);
  ~Composition();
  Composition(const Composition&) = delete;
  Composition& operator=(const Composition&) = delete;

  // The steps print what went wrong to the user's stderr and give the code to end with; nothing
  // when the start goes on. Call them in this order.

  // Whether the configuration names a bucket; production stops here when it does not.
  std::optional<ExitCode> configure();
  // Threads and the store. Opens no connection. Not before a fork.
  void start();
  // Takes the shadow's lock, for a mount, and opens the attribute cache in it. A daemon that is unmounted already and still finishes its
  // work is waited for, as long as --shutdown-timeout.
  std::optional<ExitCode> open_shadow();
  // Names the shadow's directory in options(), without touching it.
  Result<> name_shadow_directory();
  // The same for a command that runs beside a mount.
  void prepare_shadow(ShadowUse use);
  // Asks B2 for the bucket, and decides by the table of src/startup.h. A stop of `cancel` ends the
  // start.
  std::optional<ExitCode> ask_bucket(std::stop_token cancel);
  [[nodiscard]] std::unique_ptr<FileSystem> make_file_system();
  // Marks the shadow as left in order. After FileSystem::shut_down().
  void close_shadow();

  // After prepare_shadow(): something should have gone to the shadow, and another process held it.
  [[nodiscard]] bool was_locked_out() const { return deferred_->was_locked_out(); }
  [[nodiscard]] const SpillwayOptions& options() const { return settings_.options; }
  [[nodiscard]] Log& log() { return log_ ? *log_ : no_log(); }
  [[nodiscard]] Executor& executor() { return *executor_; }
  [[nodiscard]] ObjectStore& store() { return *store_; }
  [[nodiscard]] const ServiceAtStart& at_start() const { return at_start_; }
  [[nodiscard]] const std::string& bucket() const { return bucket_; }
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

 private:
  Composition(Settings settings, LogUse use, std::unique_ptr<Log> log);

  std::optional<ExitCode> follow(const StartDecision& decision);
  Result<std::unique_ptr<Shadow>> open_shadow_now();
  Result<std::unique_ptr<Shadow>> wait_for_shadow();
  void tell_recovery();
  void open_attributes();

  Settings settings_;
  LogUse log_use_;
  std::string bucket_;    // as far as it is known
  std::string endpoint_;  // as it was written
  ServiceAtStart at_start_;
  std::unique_ptr<Log> log_;  // none: forget everything
  std::unique_ptr<Hashing> hashing_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Shadow> shadow_;
  std::unique_ptr<AttributeCache> attributes_;  // goes before the shadow's lock does
  DeferredShadow* deferred_ = nullptr;  // shadow_, where it is one
};

}  // namespace spillway::cli
