// spillway check: proves with one small object that key, bucket and connection do all that a mount
// needs, and says what is missing where they do not.
#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "s3/hash.h"
#include "src/cli/command.h"
#include "src/cli/composition.h"
#include "src/cli/lifecycle_rule.h"
#include "src/cli/output.h"
#include "src/cli/process.h"
#include "src/requests.h"

namespace spillway::cli {
namespace {

const Key kKey = "test/hello.txt";
constexpr std::string_view kContent = "hello";

class Check {
 public:
  explicit Check(Composition& parts)
      : parts_(parts), requests_(parts.store(), parts.executor(), settings_of(parts)) {}

  ExitCode run() {
    print_line(fmt::format("bucket {} at {}: there, and the key works", parts_.bucket(),
                           parts_.endpoint()));
    const auto rule = warn_of_lifecycle_rule(parts_.store(), parts_.log(), {});
    if (rule) print_line("warning: " + *rule);
    auto outcome = check_overwriting();
    if (outcome.ok()) outcome = write();
    if (!outcome.ok()) return failed("writing", outcome.error());
    const auto read = read_back();
    const auto removed = remove();
    if (!read.ok()) return failed("reading", read.error());
    if (!removed.ok()) return failed("deleting", removed.error());
    print_line("B2 integration OK");
    return ExitCode::done;
  }

 private:
  static Requests::Settings settings_of(Composition& parts) {
    Requests::Settings settings;
    settings.reading.retry_for = parts.options().retry_for;
    settings.naming.retry_for = parts.options().retry_for;
    settings.cooldown = parts.options().cooldown;
    return settings;
  }

  static ExitCode failed(std::string_view what, const Error& error) {
    print_error(fmt::format("{} {} failed", what, kKey), error);
    return ExitCode::failed;
  }

  // On B2 an object of the user's under that name survives as an older version. A server without
  // versions would lose it.
  Result<> check_overwriting() {
    const auto there = requests_.read([](ObjectStore& store, const CallOptions& options) {
      return store.head_object(kKey, "", options);
    });
    const bool lost = there.ok() && there->version_id.empty() && there->size != kContent.size();
    if (lost)
      return fail(ErrorCode::exists, "it is there already, and the bucket keeps no versions");
    if (!there.ok() && there.error().code != ErrorCode::not_found) return fail(there.error());
    return {};
  }

  Result<> write() {
    PutRequest put;
    put.key = kKey;
    put.payload.pieces = {s3::bytes_of(kContent)};
    put.content_type = "text/plain";
    const auto stored = TRY(requests_.name([&](ObjectStore& store, const CallOptions& options) {
      return store.put_object(put, options);
    }));
    version_ = stored.version_id;
    print_line(fmt::format("wrote {} (version {}, request {})", kKey,
                           version_.empty() ? "-" : printable(version_),
                           stored.request_id.empty() ? "-" : printable(stored.request_id)));
    return {};
  }

  Result<> read_back() {
    GetRequest get;
    get.key = kKey;
    get.version_id = version_;
    std::string content;
    const auto sink = [&](std::span<const std::byte> bytes) -> Result<> {
      for (const std::byte byte : bytes) content += static_cast<char>(byte);
      return {};
    };
    TRY(requests_.read([&](ObjectStore& store, const CallOptions& options) {
      content.clear();
      return store.get_object(get, sink, options);
    }));
    if (content != kContent) {
      return fail(ErrorCode::checksum_mismatch,
                  fmt::format("{} bytes came back that are not what was written", content.size()));
    }
    print_line(fmt::format("read {} back: equal", kKey));
    return {};
  }

  // Exactly the version that was written: one of the user's own under that name shows again.
  Result<> remove() {
    TRY(requests_.name([&](ObjectStore& store, const CallOptions& options) {
      return store.delete_object(kKey, version_, options);
    }));
    print_line(fmt::format("deleted {}", kKey));
    return {};
  }

  Composition& parts_;
  Requests requests_;
  VersionId version_;
};

// A check that finds nothing to check has failed, whatever a mount would do.
void expect_a_bucket(Settings& settings) {
  settings.environment["ENV"] = "production";
}

ExitCode run(const GivenOptions& options) {
  close_to_onlookers();
  auto settings = options.resolve();
  if (!settings.ok()) {
    print_error(settings.error().detail);
    return ExitCode::usage;
  }
  expect_a_bucket(*settings);
  auto parts = Composition::create(std::move(*settings), LogUse::file_only);
  if (!parts.ok()) {
    print_error("log: " + printable(parts.error().detail));
    return ExitCode::usage;
  }
  if (const auto code = (*parts)->configure()) return *code;
  (*parts)->start();
  if (const auto code = (*parts)->ask_bucket({})) return *code;
  const bool well = (*parts)->at_start().state == ServiceState::ok;
  const ExitCode code = well ? Check(**parts).run() : ExitCode::failed;
  parts->reset();
  open_to_leak_checkers();
  return code;
}

}  // namespace

void add_check(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<GivenOptions>();
  auto* command = program.add_subcommand(
      "check", "Write, read back, compare and delete test/hello.txt in the bucket");
  options->add_to(*command);
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace spillway::cli
