#include "tests/mount/busy_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>
#include <utility>

#include "tests/support/mounted.h"

namespace spillway {

namespace {

constexpr int kLargeInARun = 2;

}  // namespace

BusyWriter::BusyWriter(std::filesystem::path root, std::string directory, PromiseFile& promises,
                       std::uint64_t seed)
    : root_(std::move(root)),
      directory_(std::move(directory)),
      promises_(promises),
      generator_(seed) {}

void BusyWriter::run(const std::atomic<bool>& stop) {
  large_left_ = kLargeInARun;
  while (!stop) step();
}

void BusyWriter::step() {
  const auto fsync = below(2) == 0 ? Fsync::no : Fsync::in_the_middle;
  const std::string file = any_file();
  const auto kind = below(20);
  if (kind < 9 || file.empty()) {
    create("f" + std::to_string(++names_), any_size(), fsync);
  } else if (kind < 12) {
    create(file, any_size(), fsync);
  } else if (kind < 14) {
    append(file, below(20'000) + 2, fsync);
  } else if (kind < 16) {
    rename(file, "r" + std::to_string(++names_));
  } else if (kind < 18) {
    if (const std::string other = any_file(); other != file) rename(file, other);
  } else {
    remove(file);
  }
}

std::size_t BusyWriter::any_size() {
  if (large_left_ > 0 && below(4) == 0) {
    --large_left_;
    return kLarge;
  }
  return below(60'000) + 2;  // both halves hold something: an empty file is stored after its close
}

std::string BusyWriter::any_file() {
  if (files_.empty()) return "";
  return std::next(files_.begin(), static_cast<std::ptrdiff_t>(below(files_.size())))->first;
}

bool BusyWriter::create(const std::string& name, std::size_t size, Fsync fsync) {
  return store(name, O_WRONLY | O_CREAT | O_TRUNC, "", noise(size, generator_()), fsync);
}

bool BusyWriter::append(const std::string& name, std::size_t size, Fsync fsync) {
  const auto known = files_.find(name);
  if (known == files_.end()) return false;
  return store(name, O_WRONLY | O_APPEND, known->second, noise(size, generator_()), fsync);
}

bool BusyWriter::store(const std::string& name, int flags, std::string before,
                       std::string_view more, Fsync fsync) {
  const bool overwrites = files_.erase(name) > 0;
  const int descriptor = open((root_ / path(name)).c_str(), flags | O_CLOEXEC, 0644);
  if (descriptor < 0) return false;
  const bool halves = fsync == Fsync::in_the_middle;
  const std::size_t first = halves ? more.size() / 2 : more.size();
  std::string& written = before;
  bool good = write_through(descriptor, name, written, more.substr(0, first));
  if (good && halves) {
    good = sync(descriptor, name, written) &&
           write_through(descriptor, name, written, more.substr(first));
  }
  const std::string sum = PromiseFile::sum_of(written);
  if (good) promises_.may(path(name), sum, "close");
  if (close(descriptor) != 0 || !good) return false;
  promises_.is(path(name), sum, overwrites ? "overwrite" : "create");
  files_[name] = std::move(written);
  return true;
}

// What was accepted before an error is stored by the close, as on any disk.
bool BusyWriter::write_through(int descriptor, const std::string& name, std::string& written,
                               std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = write(descriptor, bytes.data(), bytes.size());
    if (size < 0) {
      promises_.may(path(name), PromiseFile::sum_of(written), "failed");
      return false;
    }
    written.append(bytes.substr(0, static_cast<std::size_t>(size)));
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

bool BusyWriter::sync(int descriptor, const std::string& name, const std::string& written) {
  const std::string sum = PromiseFile::sum_of(written);
  promises_.may(path(name), sum, "fsync");
  if (fsync(descriptor) != 0) return false;
  promises_.is(path(name), sum, "fsync");
  return true;
}

bool BusyWriter::rename(const std::string& from, const std::string& to) {
  auto file = files_.extract(from);
  if (file.empty()) return false;
  files_.erase(to);
  const std::string sum = PromiseFile::sum_of(file.mapped());
  promises_.may(path(from), PromiseFile::kAbsent, "rename");
  promises_.may(path(to), sum, "rename");
  promises_.move(path(from), path(to), sum);
  const auto old_path = root_ / path(from);
  if (std::rename(old_path.c_str(), (root_ / path(to)).c_str()) != 0) return false;
  promises_.is(path(from), PromiseFile::kAbsent, "renamed");
  promises_.is(path(to), sum, "rename");
  files_[to] = std::move(file.mapped());
  return true;
}

bool BusyWriter::remove(const std::string& name) {
  files_.erase(name);
  promises_.may(path(name), PromiseFile::kAbsent, "remove");
  if (unlink((root_ / path(name)).c_str()) != 0) return false;
  promises_.is(path(name), PromiseFile::kAbsent, "remove");
  return true;
}

}  // namespace spillway
