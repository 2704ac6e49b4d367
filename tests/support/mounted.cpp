#include "tests/support/mounted.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace spillway {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

bool can_mount() {
  return access("/dev/fuse", R_OK | W_OK) == 0;
}

std::optional<std::string> xattr(const fs::path& file, const std::string& name) {
  std::string value(65'536, '\0');
  const ssize_t size = getxattr(file.c_str(), name.c_str(), value.data(), value.size());
  if (size < 0) return std::nullopt;
  value.resize(static_cast<std::size_t>(size));
  return value;
}

std::map<std::string, std::string> b2_xattrs(const fs::path& file) {
  std::string names(65'536, '\0');
  const ssize_t size = listxattr(file.c_str(), names.data(), names.size());
  names.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  std::map<std::string, std::string> found;
  std::istringstream list(names);
  constexpr std::string_view kPrefix = "user.b2.";
  for (std::string name; std::getline(list, name, '\0');) {
    if (name.starts_with(kPrefix)) {
      found[name.substr(kPrefix.size())] = xattr(file, name).value_or("(unreadable)");
    }
  }
  return found;
}

bool eventually(const std::function<bool()>& condition, Process::Milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  while (!condition()) {
    if (steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

Mounted::Mounted(MountOptions options, B2SimOptions server)
    : options_(std::move(options)), server_(std::move(server)) {
  root_ = directory_ / "mnt";
  shadow_ = directory_ / "shadow";
  log_file_ = directory_ / "spillway.log";
  fs::create_directory(root_);
  mount();
}

Mounted::~Mounted() {
  if (process_ == nullptr) return;
  if (is_mounted()) unmount();
  if (is_mounted()) umount2(root_.c_str(), MNT_DETACH);
  EXPECT_EQ(process_->stop(), 0) << process_->errors();
  EXPECT_FALSE(process_->errors().contains("Sanitizer")) << process_->errors();
}

Command Mounted::command_line(std::vector<std::string> arguments) const {
  Command command;
  command.arguments = std::move(arguments);
  command.arguments.insert(command.arguments.begin(), SPILLWAY_PROGRAM);
  command.environment = server_.environment();
  for (const auto& [name, value] : options_.environment) command.environment[name] = value;
  for (const auto& name : options_.without) command.environment.erase(name);
  command.without = options_.without;
  return command;
}

Finished Mounted::command(std::vector<std::string> arguments) const {
  return run(command_line(std::move(arguments)));
}

void Mounted::mount() {
  std::vector<std::string> arguments{
      "mount",       "-f", "--log-file",       log_file_, "--shadow",   shadow_,
      "--retry-for", "1s", "--name-retry-for", "1s",      "--cooldown", "1s"};
  arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
  arguments.emplace_back(root_);
  const std::size_t mounted_before = log("mount").size();
  process_ = std::make_unique<Process>(command_line(std::move(arguments)));
  const bool ready =
      eventually([&] { return log("mount").size() > mounted_before || !process_->running(); },
                 std::chrono::seconds(60));
  if (ready && process_->running()) return;
  const std::string said = process_->errors();
  process_.reset();
  throw std::runtime_error("the mount did not start: " + said);
}

int Mounted::unmount() {
  const auto finished = command({"umount", root_});
  EXPECT_EQ(finished.exit_code, 0) << finished.errors;
  return process_->wait(std::chrono::seconds(60)).value_or(-1);
}

bool Mounted::is_mounted() const {
  std::ifstream table("/proc/self/mountinfo");
  const std::string place = " " + root_.string() + " ";
  for (std::string line; std::getline(table, line);) {
    if (line.contains(place)) return true;
  }
  return false;
}

std::string Mounted::log_text() const {
  return fs::exists(log_file_) ? read_file(log_file_) : "";
}

std::vector<nlohmann::json> Mounted::log(std::string_view event) const {
  std::vector<nlohmann::json> lines;
  std::istringstream text(log_text());
  for (std::string line; std::getline(text, line);) {
    auto entry = nlohmann::json::parse(line, nullptr, false);
    if (entry.is_discarded()) continue;  // the last one may be half written
    if (event.empty() || entry.value("event", "") == event) lines.push_back(std::move(entry));
  }
  return lines;
}

std::string shell(const std::string& line) {
  const auto finished = run({.arguments = {"bash", "-c", line},
                             .environment = {},
                             .without = {},
                             .directory = {},
                             .input = {}});
  if (finished.exit_code != 0) {
    throw std::runtime_error(line + "\n" + finished.output + finished.errors);
  }
  return finished.output;
}

std::string noise(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(generator());
  return bytes;
}

int try_to_write(const fs::path& file, std::string_view content) {
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return errno;
  int problem = 0;
  while (!content.empty() && problem == 0) {
    const ssize_t size = write(descriptor, content.data(), content.size());
    if (size < 0) {
      problem = errno;
    } else {
      content.remove_prefix(static_cast<std::size_t>(size));
    }
  }
  if (close(descriptor) != 0 && problem == 0) problem = errno;
  return problem;
}

}  // namespace spillway
