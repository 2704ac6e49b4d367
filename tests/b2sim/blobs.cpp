#include "tests/b2sim/blobs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace b2sim {

Blob::Blob(std::filesystem::path path, std::uint64_t number)
    : path_(std::move(path)), number_(number) {}

Blob::~Blob() {
  if (references_ == 0) ::unlink(path_.c_str());
}

std::vector<Piece> slice(const std::vector<Piece>& pieces, std::uint64_t offset,
                         std::uint64_t size) {
  std::vector<Piece> chosen;
  for (const Piece& piece : pieces) {
    if (size == 0) break;
    if (offset >= piece.size) {
      offset -= piece.size;
      continue;
    }
    const std::uint64_t taken = std::min(size, piece.size - offset);
    chosen.push_back({piece.blob, piece.offset + offset, taken});
    size -= taken;
    offset = 0;
  }
  return chosen;
}

BlobWriter::BlobWriter(BlobPtr blob)
    : blob_(std::move(blob)),
      descriptor_(::open(blob_->path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), blob_->path());
}

BlobWriter::~BlobWriter() {
  ::close(descriptor_);
}

void BlobWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw std::system_error(errno, std::generic_category(), blob_->path());
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

BlobStore::BlobStore(std::filesystem::path directory) : directory_(std::move(directory)) {
  std::filesystem::create_directories(directory_);
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    next_ = std::max<std::uint64_t>(next_, std::stoull(entry.path().filename()) + 1);
  }
}

std::filesystem::path BlobStore::path_of(std::uint64_t number) const {
  return directory_ / std::to_string(number);
}

BlobPtr BlobStore::create() {
  const std::uint64_t number = next_++;
  return std::make_shared<Blob>(path_of(number), number);
}

BlobPtr BlobStore::open(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  BlobPtr blob = opened_[number].lock();
  if (!blob) {
    blob = std::make_shared<Blob>(path_of(number), number);
    opened_[number] = blob;
  }
  return blob;
}

void BlobStore::sweep() {
  const std::lock_guard lock(mutex_);
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    const auto found = opened_.find(std::stoull(entry.path().filename()));
    if (found == opened_.end() || found->second.expired()) ::unlink(entry.path().c_str());
  }
  opened_.clear();
}

void BlobStore::retain(const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) ++piece.blob->references_;
}

void BlobStore::release(const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) --piece.blob->references_;
}

}  // namespace b2sim
