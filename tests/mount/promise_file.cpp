#include "tests/mount/promise_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <system_error>
#include <utility>

#include "s3/hash.h"
#include "tests/support/process.h"

namespace spillway {

namespace fs = std::filesystem;

namespace {

// "unreadable" where it can't be read whole.
std::string sum_there(const fs::path& file) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const bool is_absent = errno == ENOENT || errno == ENOTDIR;
    return is_absent ? std::string(PromiseFile::kAbsent)
                     : "unreadable:" + std::generic_category().message(errno);
  }
  std::string content;
  std::string buffer(1U << 20U, '\0');
  ssize_t got = 0;
  while ((got = read(descriptor, buffer.data(), buffer.size())) > 0) {
    content.append(buffer, 0, static_cast<std::size_t>(got));
  }
  const int error = errno;
  close(descriptor);
  if (got < 0) return "unreadable:" + std::generic_category().message(error);
  return PromiseFile::sum_of(content);
}

std::map<std::string, std::string> sums_below(const fs::path& root) {
  std::map<std::string, std::string> sums;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_directory()) continue;
    sums[entry.path().lexically_relative(root)] = sum_there(entry.path());
  }
  return sums;
}

// Of a copy that was made of a conflict; any other path is its own.
std::string original_of(const std::string& path) {
  return path.substr(0, path.find(" (conflict "));
}

}  // namespace

PromiseFile::PromiseFile(const fs::path& file)
    : file_(file),
      descriptor_(open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), file);
}

PromiseFile::~PromiseFile() {
  close(descriptor_);
}

std::string PromiseFile::sum_of(std::string_view content) {
  return s3::to_hex(s3::sha256(content));
}

// What is there, held against what was promised.
struct PromiseFile::Check {
  [[nodiscard]] std::string sum_at(const std::string& path) const {
    const auto found = there.find(path);
    return found == there.end() ? std::string(kAbsent) : found->second;
  }

  void tell(const std::string& path, const std::string& what) {
    std::string text = path + " is " + sum_at(path) + ": " + what;
    const auto promise = promises.files.find(original_of(path));
    if (promise != promises.files.end()) {
      for (const auto& line : promise->second.story) text += "\n    " + line;
    }
    broken.push_back(std::move(text));
  }

  // Of an overwrite that was cut off B2 may have the new version and the shadow the old one: then
  // both are kept.
  [[nodiscard]] bool is_other_version(const std::string& path, const std::string& sum) const {
    const auto original = promises.files.find(original_of(path));
    return original != promises.files.end() && original->second.sums.size() > 1 &&
           original->second.sums.contains(sum);
  }

  const Promises& promises;
  std::map<std::string, std::string> there;
  std::vector<std::string> broken;
};

void PromiseFile::append(const std::string& line) const {
  const auto written = write(descriptor_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) {
    throw std::system_error(errno, std::generic_category(), file_);
  }
}

void PromiseFile::is(const std::string& path, std::string_view sum, std::string_view how) {
  append("is " + std::string(sum) + " " + std::string(how) + " " + path + "\n");
}

void PromiseFile::may(const std::string& path, std::string_view sum, std::string_view how) {
  append("may " + std::string(sum) + " " + std::string(how) + " " + path + "\n");
}

void PromiseFile::move(const std::string& from, const std::string& to, std::string_view sum) {
  append("move " + std::string(sum) + " " + from + " " + to + "\n");
}

void PromiseFile::read_line(const std::string& line, Promises& promises) {
  std::istringstream words(line);
  std::string kind;
  std::string sum;
  std::string how;
  std::string path;
  words >> kind >> sum >> how >> std::ws;
  std::getline(words, path);
  if (kind == "move") {
    promises.moves[how] = {path, sum};
    promises.files[how].story.push_back(line);
    return;
  }
  Promise& promise = promises.files[path];
  promise.story.push_back(line);
  if (kind == "is") {
    promise.sums.clear();
    promises.moves.erase(path);
    ++promises.counts[how];
  }
  promise.sums.insert(sum);
}

PromiseFile::Promises PromiseFile::read() const {
  Promises promises;
  std::istringstream lines(read_file(file_));
  for (std::string line; std::getline(lines, line);) read_line(line, promises);
  return promises;
}

std::map<std::string, int> PromiseFile::kept_count() const {
  return read().counts;
}

std::vector<std::string> PromiseFile::broken(const fs::path& root) {
  const Promises promises = read();
  Check check{promises, sums_below(root), {}};
  for (const auto& [from, move] : promises.moves) {
    const bool is_lost = check.sum_at(from) == kAbsent && check.sum_at(move.to) != move.sum;
    if (is_lost) check.tell(from, "lost by a rename");
  }
  for (const auto& [path, promise] : promises.files) {
    const std::string sum = check.sum_at(path);
    if (!promise.sums.contains(sum)) {
      check.tell(path, "not what was promised");
    } else if (promise.sums.size() > 1) {
      is(path, sum, "found");
    }
  }
  for (const auto& [path, sum] : check.there) {
    if (promises.files.contains(path)) continue;
    if (check.is_other_version(path, sum)) {
      is(path, sum, "found");
    } else {
      check.tell(path, "nobody wrote it");
    }
  }
  return check.broken;
}

}  // namespace spillway
