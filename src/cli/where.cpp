// spillway where: in which place each file is stored, and why.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "src/cli/command.h"
#include "src/cli/mounted.h"
#include "src/cli/output.h"

namespace spillway::cli {
namespace {

namespace fs = std::filesystem;

struct Request {
  std::vector<std::string> paths;
  bool json = false;
  bool recursive = false;
};

struct Row {
  std::string path;
  std::string storage, size, location, why;
  nlohmann::ordered_json result;
};

class Survey {
 public:
  explicit Survey(const Request& request) : request_(request), mounts_(spillway_mounts()) {}

  void look_at(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return complain(path, fail_errno(errno, "stat").error());
    const bool ours = std::ranges::any_of(
        mounts_, [&](const MountPoint& mount) { return mount.device == status.st_dev; });
    if (!ours) return complain(path, "not on a Spillway mount");
    if (S_ISDIR(status.st_mode)) return look_into(path);
    if (S_ISREG(status.st_mode)) add_file(path);
  }

  [[nodiscard]] ExitCode print() const {
    request_.json ? print_json() : print_table();
    return complete_ ? ExitCode::done : ExitCode::failed;
  }

 private:
  void look_into(const fs::path& directory) {
    std::vector<std::string> files, directories;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error)) {
      std::error_code gone;
      const auto kind = at->symlink_status(gone).type();
      if (kind == fs::file_type::regular) files.push_back(at->path());
      if (kind == fs::file_type::directory) directories.push_back(at->path());
    }
    std::ranges::sort(files);
    for (const auto& file : files) add_file(file);
    std::ranges::sort(directories);
    if (request_.recursive) {
      for (const auto& below : directories) look_into(below);
    }
    if (error) complain(directory, error.message());  // a half-seen directory is told
  }

  void add_file(const std::string& path) {
    const auto text = read_attribute(path, "user.b2.result");
    if (!text.ok()) return complain(path, text.error());
    Row row;
    row.path = path;
    row.result = nlohmann::ordered_json::parse(*text, nullptr, false);
    const auto value = [&](const char* name) {
      const auto attribute = read_attribute(path, std::string("user.b2.") + name);
      return attribute.ok() ? printable(*attribute) : std::string();
    };
    row.storage = value("storage");
    row.location = value("location");
    row.size = value("size");
    row.why = value("error_code");
    const std::string detail = value("detail");
    if (!detail.empty()) row.why += ": " + detail;
    rows_.push_back(std::move(row));
  }

  void complain(const std::string& path, const std::string& reason) {
    print_error(printable(path) + ": " + reason);
    complete_ = false;
  }
  void complain(const std::string& path, const Error& error) { complain(path, error.detail); }

  void print_table() const {
    Table table{"FILE", "STORAGE", "SIZE", "LOCATION", "WHY"};
    for (const auto& row : rows_) {
      const bool known = !row.size.empty();
      table.add({printable(row.path), row.storage,
                 known ? readable_size(std::strtoull(row.size.c_str(), nullptr, 10)) : "-",
                 row.location, row.why.empty() ? "-" : row.why});
    }
    if (!rows_.empty()) table.print();
  }

  void print_json() const {
    auto list = nlohmann::ordered_json::array();
    for (const auto& row : rows_) {
      nlohmann::ordered_json entry{{"path", row.path}};
      if (row.result.is_object()) entry.update(row.result);
      list.push_back(std::move(entry));
    }
    constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;
    print_line(list.dump(2, ' ', false, kReplace));
  }

  const Request& request_;
  std::vector<MountPoint> mounts_;
  std::vector<Row> rows_;
  bool complete_ = true;
};

ExitCode run(const Request& request) {
  Survey survey(request);
  for (const auto& path : request.paths) survey.look_at(path);
  return survey.print();
}

}  // namespace

void add_where(CLI::App& program, Action& chosen) {
  auto request = std::make_shared<Request>();
  auto* command = program.add_subcommand("where", "Tell where files are stored, and why");
  command->add_option("PATH", request->paths, "Files, or directories whose files are meant")
      ->required();
  command->add_flag("--json", request->json, "Print the whole result of each file as JSON");
  command->add_flag("-r,--recursive", request->recursive, "Go into directories below, too");
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace spillway::cli
