// spillway shadow: looks into a shadow directory, without B2, without a mount and beside one.
#include <spdlog/fmt/fmt.h>

#include <filesystem>
#include <string>

#include "s3/hash.h"
#include "src/cli/command.h"
#include "src/cli/output.h"
#include "src/shadow_tools.h"

namespace spillway::cli {
namespace {

struct Request {
  std::string directory;
  std::string target;
};

// What went wrong is printed by `work`, the rest here.
ExitCode with_tools(const Request& request, ExitCode (*work)(ShadowTools& tools, const Request&)) {
  const std::string root = std::filesystem::absolute(request.directory).lexically_normal();
  const auto disk = open_disk(root);
  if (!disk.ok()) {
    print_error(printable(disk.error().detail));
    return ExitCode::failed;
  }
  const auto hashing = s3::make_hashing();
  ShadowTools tools(**disk, *hashing);
  return work(tools, request);
}

std::string_view to_text(DataState state) {
  switch (state) {
    case DataState::sound:
      return "sound";
    case DataState::missing:
      return "missing";
    case DataState::wrong_checksum:
      return "wrong checksum";
    case DataState::unreadable:
      return "unreadable";
  }
  return "";
}

std::string why(const Error& reason) {
  return fmt::format("{}: {}", to_string(reason.code), printable(reason.detail));
}

// Whether all of it is sound.
bool print_content(const ShadowContent& content) {
  bool sound = content.damaged.empty();
  Table table{"FILE", "STORAGE", "SIZE", "DATA", "LOCATION", "WHY"};
  for (const ShadowItem& item : content.items) {
    sound = sound && item.state == DataState::sound;
    table.add({printable(item.record.path.text()), std::string(to_string(item.record.storage)),
               readable_size(item.record.size), std::string(to_text(item.state)),
               item.location.empty() ? "-" : printable(item.location), why(item.record.reason)});
  }
  if (!content.items.empty()) table.print();
  for (const auto& file : content.damaged) print_error("damaged record: " + printable(file));
  for (const auto& file : content.lost_and_found) print_line("set aside: " + printable(file));
  return sound;
}

ExitCode show(const Result<ShadowContent>& content) {
  if (!content.ok()) {
    print_error(printable(content.error().detail));
    return ExitCode::failed;
  }
  return print_content(*content) ? ExitCode::done : ExitCode::failed;
}

ExitCode list(ShadowTools& tools, const Request&) {
  return show(tools.list());
}
ExitCode verify(ShadowTools& tools, const Request&) {
  return show(tools.verify());
}

std::string_view to_text(ExportedFile::Outcome outcome) {
  switch (outcome) {
    case ExportedFile::Outcome::whole:
      return "whole";
    case ExportedFile::Outcome::ranges_only:
      return "in part: the rest is in an unfinished upload in B2";
    case ExportedFile::Outcome::skipped:
      return "skipped";
    case ExportedFile::Outcome::failed:
      return "failed";
  }
  return "";
}

ExitCode export_files(ShadowTools& tools, const Request& request) {
  const std::string place = std::filesystem::absolute(request.target).lexically_normal();
  const auto target = open_disk(place);
  if (!target.ok()) {
    print_error(printable(target.error().detail));
    return ExitCode::failed;
  }
  const auto exported = tools.export_to(**target);
  if (!exported.ok()) {
    print_error(printable(exported.error().detail));
    return ExitCode::failed;
  }
  bool complete = true;
  for (const ExportedFile& file : *exported) {
    complete = complete && file.outcome != ExportedFile::Outcome::failed;
    std::string line = printable(file.record.path.text()) + ": ";
    line += to_text(file.outcome);
    if (!file.detail.empty()) line += ": " + printable(file.detail);
    print_line(line);
  }
  return complete ? ExitCode::done : ExitCode::failed;
}

}  // namespace

void add_shadow(CLI::App& program, Action& chosen) {
  auto request = std::make_shared<Request>();
  auto* command =
      program.add_subcommand("shadow", "Look into a shadow directory, without B2 and a mount");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, auto work) {
    auto* verb = command->add_subcommand(name, help);
    verb->add_option("DIR", request->directory, "The shadow directory")->required();
    verb->callback(
        [request, work, &chosen] { chosen = [=] { return with_tools(*request, work); }; });
    return verb;
  };
  add("ls", "List what is in it, and why; exit code 1 when something is not sound", list);
  add("verify", "The same, and read all data", verify);
  add("export", "Copy every file below another directory; nothing there is replaced", export_files)
      ->add_option("TARGET", request->target, "An existing directory")
      ->required();
}

}  // namespace spillway::cli
