#include "src/cli/adopt.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "s3/hash.h"
#include "src/cli/handover.h"
#include "src/cli/mounted_tree.h"
#include "src/cli/output.h"
#include "src/cli/signals.h"
#include "src/config.h"
#include "src/disk.h"
#include "src/shadow.h"
#include "src/shadow_layout.h"

namespace spillway::cli {
namespace {

namespace fs = std::filesystem;

std::string files_text(std::size_t count) {
  return fmt::format("{} {}", count, count == 1 ? "file" : "files");
}

bool is_directory(const ShadowRecord& record) {
  return record.metadata.kind == FileKind::directory;
}

// --- one shadow into one mount

class Adoption {
 public:
  Adoption(const MountPoint& mount, Shadow& shadow, MountedTree& tree)
      : mount_(mount), shadow_(shadow), tree_(tree) {}

  ExitCode run() {
    const auto records = in_order();
    for (const ShadowRecord& record : records) {
      if (is_over_ || is_asked_to_end()) break;
      progress_.show(adopted_, records.size(), printable(record.path.text()));
      take(record);
    }
    progress_.wipe();
    return conclude(records.size());
  }

 private:
  // Directories last, the deepest first: what their modes forbid, and their times, come when all
  // that is in them is there. Until then they are made as they are needed.
  std::vector<ShadowRecord> in_order() {
    auto records = shadow_.within(Path());
    const auto directories = std::ranges::stable_partition(records, std::not_fn(is_directory));
    std::ranges::sort(directories, std::ranges::greater(), &ShadowRecord::path);
    return records;
  }

  void take(const ShadowRecord& record) {
    Path path = record.path;
    auto landed = land(record, path);
    const bool is_taken = !landed.ok() && landed.error().system_errno == EEXIST;
    if (is_taken && !is_directory(record)) {
      path = conflict_path(record);
      landed = land(record, path);
    }
    if (!landed.ok()) return complain(record, landed.error());
    if (const auto removed = shadow_.remove(record.id); !removed.ok()) {
      return complain(record, removed.error());
    }
    ++adopted_;
    tell(record, path, *landed);
  }

  Result<Landed> land(const ShadowRecord& record, const Path& path) {
    if (record.storage != Storage::local) {
      return fail_errno(EINVAL, "a part of it is in an unfinished upload");
    }
    if (is_directory(record)) return tree_.add_directory(path, record.metadata);
    if (record.metadata.kind == FileKind::fifo || record.metadata.kind == FileKind::socket) {
      return tree_.add_special(path, record.metadata);
    }
    const auto data = TRY(shadow_.open_data(record));
    if (record.metadata.kind == FileKind::regular) {
      return tree_.add_file(path, record.metadata, *data, record.size);
    }
    return tree_.add_symlink(path, record.metadata, TRY(target_in(*data, record.size)));
  }

  static Result<std::string> target_in(DiskFile& data, std::uint64_t size) {
    constexpr std::uint64_t kLongest = 4'095;
    std::string target(static_cast<std::size_t>(std::min(size, kLongest)), '\0');
    const auto got = TRY(data.read_at(0, std::as_writable_bytes(std::span(target))));
    if (got == size) return target;
    return fail_errno(EIO, "the shadow's copy is not as long as its journal says");
  }

  void tell(const ShadowRecord& record, const Path& path, const Landed& landed) {
    std::string how = landed.storage.empty() ? "stored" : printable(landed.storage);
    if (landed.how == Landed::How::was_there) how = "was there already";
    progress_.wipe();
    print_line(fmt::format("{} -> {} ({})", printable(record.path.text()),
                           printable(mount_.path + "/" + path.text()), how));
  }

  void complain(const ShadowRecord& record, const Error& error) {
    is_over_ = error.system_errno == ENOTCONN || error.system_errno == EINTR;
    progress_.wipe();
    const bool is_in_the_way = is_directory(record) && error.system_errno == EEXIST;
    print_error(fmt::format("{} stays: {}{}", printable(record.path.text()), error.detail,
                            is_in_the_way ? " as a file; rename that, and run this again" : ""));
  }

  ExitCode conclude(std::size_t count) {
    if (count == 0) {
      print_line("there is nothing left to adopt");
      return ExitCode::done;
    }
    print_line(fmt::format("{} adopted", files_text(adopted_)));
    if (adopted_ == count) return ExitCode::done;
    print_error(fmt::format("{} left; run this again when the reason is gone",
                            files_text(count - adopted_)));
    const auto state = read_mount_state(mount_);
    if (!state.ok()) {
      print_error(why_silent(mount_, state.error()));
    } else if (state->last_error.is_object()) {
      print_error("the mount's last error was " + to_text(failure_in(state->last_error)));
    }
    return ExitCode::failed;
  }

  const MountPoint& mount_;
  Shadow& shadow_;
  MountedTree& tree_;
  ProgressLine progress_;
  std::size_t adopted_ = 0;
  bool is_over_ = false;
};

// --- the way there

std::optional<ExitCode> check_mount(const MountPoint& mount) {
  const auto state = read_mount_state(mount);
  if (!state.ok()) {
    print_error(why_silent(mount, state.error()));
    return ExitCode::failed;
  }
  if (state->state != "local_only") return std::nullopt;
  print_error(fmt::format("{} was mounted without a bucket itself; mount one, and name it here",
                          printable(mount.path)));
  return ExitCode::failed;
}

// Opening a shadow makes one where there is none: that is not meant here.
std::optional<ExitCode> check_shadow(const std::string& given, const std::string& directory) {
  std::error_code failed;
  if (fs::exists(fs::path(directory) / layout::kMark, failed) || failed) return std::nullopt;
  if (given.empty()) {
    print_line("there is nothing to adopt: no " + printable(directory));
    return ExitCode::done;
  }
  print_error(printable(directory) + " is no shadow directory");
  return ExitCode::usage;
}

Result<std::string> directory_of(const std::string& given) {
  const auto unused = [](std::string_view) { return std::string(); };
  if (given.empty()) {
    return default_shadow_directory(process_environment(), getuid(), "", "", unused);
  }
  std::string directory = fs::absolute(given).lexically_normal();
  if (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  return directory;
}

ExitCode refuse(const std::string& directory, const Error& error) {
  const std::string place = printable(directory);
  const auto holder = error.code == ErrorCode::exists ? mount_holding(directory) : std::nullopt;
  if (holder) {
    print_error(fmt::format("{} is in use by the mount at {}; unmount that first", place,
                            printable(*holder)));
  } else if (error.code == ErrorCode::exists) {
    print_error(place + " is in use by another process");
  } else {
    print_error(printable(error.detail));
  }
  return error.code == ErrorCode::not_permitted ? ExitCode::usage : ExitCode::failed;
}

ExitCode adopt_from(const MountPoint& mount, const std::string& directory, Log& log) {
  const auto executor = make_thread_executor(2);
  const auto hashing = s3::make_hashing();
  const auto disk = open_disk(directory);
  if (!disk.ok()) return refuse(directory, disk.error());
  const ShadowSettings settings{.identity = bucket_identity("", "")};
  const auto shadow = open_shadow(**disk, settings, *executor, *hashing, log);
  if (!shadow.ok()) return refuse(directory, shadow.error());
  auto tree = MountedTree::open(mount.path);
  if (!tree.ok()) {
    print_error(printable(tree.error().detail));
    return ExitCode::failed;
  }
  const ExitCode code = Adoption(mount, **shadow, *tree).run();
  const auto closed = (*shadow)->close_cleanly();
  if (!closed.ok()) print_error("warning: " + printable(closed.error().detail));
  return code;
}

}  // namespace

ExitCode adopt(const MountPoint& mount, const std::string& given) {
  const auto directory = directory_of(given);
  if (!directory.ok()) {
    print_error(printable(directory.error().detail));
    return ExitCode::usage;
  }
  if (const auto code = check_mount(mount)) return *code;
  if (const auto code = check_shadow(given, *directory)) return *code;
  hold_signals();
  umask(0);  // modes are taken over as they are
  LogSettings settings;
  settings.format = LogFormat::text;
  settings.level = Level::warning;
  const auto log = make_log(settings, system_clock());
  return adopt_from(mount, *directory, log.ok() ? **log : no_log());
}

}  // namespace spillway::cli
