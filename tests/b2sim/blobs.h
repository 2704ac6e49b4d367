// The bytes of objects and parts: files that are written once, and shared by reference, so that
// completing an upload and copying inside the server cost no I/O.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace b2sim {

// One file. It goes with its last holder, unless a stored version or part refers to it then.
class Blob {
 public:
  Blob(std::filesystem::path path, std::uint64_t number);
  ~Blob();
  Blob(const Blob&) = delete;
  Blob& operator=(const Blob&) = delete;
  Blob(Blob&&) = delete;
  Blob& operator=(Blob&&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  friend class BlobStore;
  std::filesystem::path path_;
  std::uint64_t number_;
  std::atomic<int> references_ = 0;
};
using BlobPtr = std::shared_ptr<Blob>;

// Bytes [offset, offset + size) of a blob.
struct Piece {
  BlobPtr blob;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// Bytes [offset, offset + size) of what `pieces` hold together.
[[nodiscard]] std::vector<Piece> slice(const std::vector<Piece>& pieces, std::uint64_t offset,
                                       std::uint64_t size);

// Appends to a new blob; the file goes with the writer's blob unless something refers to it.
class BlobWriter {
 public:
  explicit BlobWriter(BlobPtr blob);
  ~BlobWriter();
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;
  BlobWriter(BlobWriter&&) = delete;
  BlobWriter& operator=(BlobWriter&&) = delete;

  void write(std::span<const std::byte> bytes);
  [[nodiscard]] const BlobPtr& blob() const { return blob_; }

 private:
  BlobPtr blob_;
  int descriptor_;
};

// Any thread.
class BlobStore {
 public:
  explicit BlobStore(std::filesystem::path directory);

  [[nodiscard]] BlobPtr create();
  // While loading: the blob of that number, the same object for every caller.
  [[nodiscard]] BlobPtr open(std::uint64_t number);
  // After loading: files that nothing refers to are of interrupted uploads, and go.
  void sweep();

  static void retain(const std::vector<Piece>& pieces);
  static void release(const std::vector<Piece>& pieces);

 private:
  [[nodiscard]] std::filesystem::path path_of(std::uint64_t number) const;

  std::filesystem::path directory_;
  std::atomic<std::uint64_t> next_ = 1;
  std::mutex mutex_;
  std::map<std::uint64_t, std::weak_ptr<Blob>> opened_;  // guarded by mutex_; only while loading
};

}  // namespace b2sim
