#include "src/cli/composition.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "s3/client.h"
#include "s3/hash.h"
#include "src/cli/handover.h"
#include "src/cli/output.h"
#include "src/descriptor.h"
#include "src/shadow_layout.h"

namespace spillway::cli {
namespace {

namespace fs = std::filesystem;

std::string text_at(const Environment& environment, const std::string& name) {
  const auto entry = environment.find(name);
  return entry == environment.end() ? "" : entry->second;
}

Result<s3::Endpoint> endpoint_of(const Settings& settings) {
  if (!settings.bucket.ok()) return fail(settings.bucket.error());
  const auto plain =
      settings.options.allow_http ? s3::PlainHttp::allowed : s3::PlainHttp::loopback_only;
  auto endpoint = s3::parse_endpoint(settings.bucket->endpoint, plain);
  if (!endpoint.ok()) {
    return fail(ErrorCode::invalid_argument, "malformed: S3_ENDPOINT: " + endpoint.error().detail);
  }
  endpoint->region = settings.bucket->region;
  return endpoint;
}

// For local-only: the engine wants a store, and never calls it.
s3::Settings unused_store() {
  s3::Settings settings;
  settings.endpoint.scheme = s3::Scheme::http;
  settings.endpoint.host = "localhost";
  return settings;
}

s3::Settings store_settings(Settings& settings, s3::Endpoint endpoint) {
  s3::Settings store;
  store.endpoint = std::move(endpoint);
  store.bucket = settings.bucket->bucket;
  store.access_key = settings.bucket->access_key;
  store.secret_key = settings.bucket->secret_key;
  s3::wipe(settings.bucket->secret_key);
  const bool hashed = settings.options.payload == PayloadMode::with_hash;
  store.payload_mode = hashed ? s3::PayloadMode::signed_payload : s3::PayloadMode::unsigned_payload;
  store.ca_file = settings.options.ca_file;
  store.timeouts.connect = settings.options.connect_timeout;
  store.timeouts.stall = settings.options.stall_timeout;
  return store;
}

// Every upload may have all its parts under way, and readers want theirs besides.
std::size_t workers_for(const SpillwayOptions& options) {
  constexpr int kForReadersAndNames = 64;
  return static_cast<std::size_t>(options.uploads * options.parts_at_once + kForReadersAndNames);
}

// mkdir -p, with nobody else let in.
Result<> make_private_directory(const fs::path& directory) {
  std::error_code ignored;
  if (fs::is_directory(directory, ignored)) return {};
  if (directory.has_parent_path() && directory != directory.parent_path()) {
    TRY(make_private_directory(directory.parent_path()));
  }
  if (mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail_errno(errno, printable(directory.string()));
}

// EACCES: somebody else's directory, who did not make it just now.
Result<> sync_names_in(const fs::path& directory) {
  const Descriptor opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open() && errno == EACCES) return {};
  if (opened.is_open() && fsync(opened.get()) == 0) return {};
  return fail_errno(errno, "sync " + printable(directory.string()));
}

// What is durable in a directory is lost all the same with the directory's own name. All names up
// to the root of its file system, whoever made them: an earlier start may have ended after mkdir.
Result<> make_name_durable(const fs::path& directory) {
  std::error_code ignored;
  fs::path child = fs::absolute(directory, ignored).lexically_normal();
  struct stat here {};
  if (stat(child.c_str(), &here) != 0) return fail_errno(errno, printable(child.string()));
  for (fs::path parent = child.parent_path(); parent != child; parent = child.parent_path()) {
    struct stat above {};
    if (stat(parent.c_str(), &above) != 0 || above.st_dev != here.st_dev) break;
    TRY(sync_names_in(parent));
    child = std::move(parent);
  }
  return {};
}

LogSettings log_settings(const Settings& settings, LogUse use) {
  const SpillwayOptions& options = settings.options;
  LogSettings log;
  log.file = options.log_file;
  log.format = options.log_format;
  log.level = options.log_level;
  if (use == LogUse::warnings && log.file.empty()) log.level = std::max(log.level, Level::warning);
  using Sink = LogSettings::Sink;
  log.sink = use == LogUse::daemon ? Sink::background : Sink::foreground;
  if (!settings.secret_key.empty()) log.secrets.push_back(settings.secret_key);
  return log;
}

std::string as_text(const StartDecision& decision) {
  std::string text = decision.event;
  if (decision.fields.contains("error_code")) {
    text += ": " + decision.fields["error_code"].get<std::string>();
  }
  text += ": " + printable(decision.fields.value("detail", ""));
  if (decision.fields.contains("hint")) {
    text += "\n  hint: " + decision.fields["hint"].get<std::string>();
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<Composition>> Composition::create(Settings settings, LogUse use) {
  for (const auto& warning : settings.warnings) print_error("warning: " + warning);
  std::unique_ptr<Log> log;
  if (use != LogUse::file_only || !settings.options.log_file.empty()) {
    log = TRY(make_log(log_settings(settings, use), system_clock()));
  }
  return std::unique_ptr<Composition>(new Composition(std::move(settings), use, std::move(log)));
}

Composition::Composition(Settings settings, LogUse use, std::unique_ptr<Log> log)
    : settings_(std::move(settings)),
      log_use_(use),
      log_(std::move(log)),
      hashing_(s3::make_hashing()) {
  bucket_ = text_at(settings_.environment, "S3_BUCKET");
  endpoint_ = text_at(settings_.environment, "S3_ENDPOINT");
  s3::wipe(settings_.secret_key);
}

Composition::~Composition() {
  if (settings_.bucket.ok()) s3::wipe(settings_.bucket->secret_key);
}

std::optional<ExitCode> Composition::follow(const StartDecision& decision) {
  log().event(decision.level, decision.event, decision.fields);
  at_start_ = decision.service;
  const bool log_is_stderr = settings_.options.log_file.empty() &&
                             (log_use_ == LogUse::foreground || log_use_ == LogUse::warnings);
  const bool told = log_is_stderr && !decision.stop;
  if (decision.level >= Level::warning && !told) print_error(as_text(decision));
  return decision.stop;
}

std::optional<ExitCode> Composition::configure() {
  const auto endpoint = endpoint_of(settings_);
  if (endpoint.ok()) return std::nullopt;
  return follow(decide_without_bucket(run_mode_of(settings_.environment), endpoint.error()));
}

void Composition::start() {
  executor_ = make_thread_executor(workers_for(settings_.options));
  auto endpoint = endpoint_of(settings_);
  store_ = s3::make_object_store(
      endpoint.ok() ? store_settings(settings_, std::move(*endpoint)) : unused_store(), *executor_);
}

std::optional<ExitCode> Composition::ask_bucket(std::stop_token cancel) {
  if (at_start_.state == ServiceAtStart::State::local_only) return std::nullopt;
  CallOptions call;
  call.cancel = cancel;
  const auto asked = store_->verify_bucket(call);
  if (cancel.stop_requested()) return ExitCode::failed;
  return follow(decide_with_bucket(run_mode_of(settings_.environment), endpoint_, bucket_, asked));
}

Result<> Composition::name_shadow_directory() {
  if (!settings_.options.shadow.empty()) return {};
  const auto sha256_hex = [&](std::string_view text) {
    const auto hasher = hashing_->make_sha256();
    hasher->update(s3::bytes_of(text));
    return hasher->finish_hex();
  };
  settings_.options.shadow = TRY(
      default_shadow_directory(settings_.environment, getuid(), endpoint_, bucket_, sha256_hex));
  return {};
}

Result<std::unique_ptr<Shadow>> Composition::open_shadow_now() {
  TRY(name_shadow_directory());
  TRY(make_private_directory(settings_.options.shadow));
  disk_ = TRY(open_disk(settings_.options.shadow));
  ShadowSettings shadow;
  shadow.identity = bucket_identity(endpoint_, bucket_);
  shadow.limit_bytes = settings_.options.shadow_limit;
  shadow.reserve_bytes = settings_.options.shadow_reserve;
  auto opened = TRY(spillway::open_shadow(*disk_, shadow, *executor_, *hashing_, log()));
  TRY(make_name_durable(settings_.options.shadow));
  return opened;
}

Result<std::unique_ptr<Shadow>> Composition::wait_for_shadow() {
  const Instant deadline = system_clock().now() + settings_.options.shutdown_timeout;
  while (true) {
    auto opened = open_shadow_now();
    const bool held = !opened.ok() && opened.error().code == ErrorCode::exists;
    if (!held || system_clock().now() >= deadline) return opened;
    // A daemon that was unmounted and finishes its work holds the lock, too, but serves no mount.
    if (mount_holding(settings_.options.shadow)) return opened;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void Composition::tell_recovery() {
  const ShadowRecovery& found = shadow_->recovery();
  if (!found.after_crash) return;
  log().event(Level::warning, "recovered_after_crash",
              {{"files", found.files},
               {"splits", found.splits},
               {"finished", found.finished},
               {"damaged", found.damaged}});
}

// Only for a mount, which holds the shadow's lock from its start to its end.
void Composition::open_attributes() {
  if (at_start_.state == ServiceAtStart::State::local_only) return;
  AttributeCacheSettings settings;
  settings.reserve_bytes = settings_.options.shadow_reserve;
  const std::string file = disk_->absolute(layout::kAttributes);
  attributes_ = make_attribute_cache(file, settings, *executor_, log());
}

std::optional<ExitCode> Composition::open_shadow() {
  auto opened = wait_for_shadow();
  if (opened.ok()) {
    shadow_ = std::move(*opened);
    tell_recovery();
    open_attributes();
    return std::nullopt;
  }
  const std::string what = "shadow " + printable(settings_.options.shadow);
  if (opened.error().code == ErrorCode::exists) {
    print_error(what + " is in use by another mount of this bucket");
    return ExitCode::mount_failed;
  }
  print_error(what + ": " + printable(opened.error().detail));
  return ExitCode::usage;
}

void Composition::prepare_shadow(ShadowUse use) {
  auto deferred = make_deferred_shadow([this] { return open_shadow_now(); }, *executor_);
  if (use == ShadowUse::if_free) deferred->open_if_free();
  deferred_ = deferred.get();
  shadow_ = std::move(deferred);
}

void Composition::close_shadow() {
  const auto closed = shadow_->close_cleanly();
  if (!closed.ok()) log().event(Level::warning, "shadow", {{"detail", closed.error().detail}});
}

std::unique_ptr<FileSystem> Composition::make_file_system() {
  EngineSettings settings;
  settings.options = settings_.options;
  settings.bucket = bucket_;
  settings.service = at_start_;
  settings.default_uid = getuid();
  settings.default_gid = getgid();
  AttributeCache& attributes = attributes_ ? *attributes_ : no_attribute_cache();
  return spillway::make_file_system(
      {*store_, *shadow_, *hashing_, *executor_, log(), attributes}, settings);
}

}  // namespace spillway::cli
