#include "fuse/parallel_dirops.h"

#include <linux/fuse.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace spillway::kernel {
namespace {

template <class T>
T read_as(std::span<const std::byte> bytes, std::size_t offset = 0) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

std::vector<std::byte> joined(std::span<const iovec> pieces) {
  std::vector<std::byte> out;
  for (const iovec& piece : pieces) {
    const auto* start = static_cast<const std::byte*>(piece.iov_base);
    out.insert(out.end(), start, start + piece.iov_len);
  }
  return out;
}

std::uint64_t answered_request(std::span<const iovec> reply) {
  if (reply.empty() || reply.front().iov_len < sizeof(fuse_out_header)) return 0;
  return static_cast<const fuse_out_header*>(reply.front().iov_base)->unique;
}

void add_flag(std::span<std::byte> answer) {
  const std::size_t at = sizeof(fuse_out_header) + offsetof(fuse_init_out, flags);
  if (answer.size() < at + sizeof(std::uint32_t)) return;  // an error, or a protocol of old
  const auto flags = read_as<std::uint32_t>(answer, at) | FUSE_PARALLEL_DIROPS;
  std::memcpy(answer.data() + at, &flags, sizeof(flags));
}

}  // namespace

ssize_t ParallelDirops::read(int device, std::span<std::byte> request) {
  const ssize_t got = ::read(device, request.data(), request.size());
  if (got > 0 && !agreed_) look_for_init(request.first(static_cast<std::size_t>(got)));
  return got;
}

ssize_t ParallelDirops::write(int device, std::span<const iovec> reply) {
  if (!agreed_ && init_ != 0 && answered_request(reply) == init_) {
    return write_init(device, reply);
  }
  return ::writev(device, reply.data(), static_cast<int>(reply.size()));
}

void ParallelDirops::look_for_init(std::span<const std::byte> request) {
  if (request.size() < sizeof(fuse_in_header) + offsetof(fuse_init_in, flags2)) return;
  const auto header = read_as<fuse_in_header>(request);
  if (header.opcode != FUSE_INIT) return;
  const auto flags = read_as<std::uint32_t>(
      request, sizeof(fuse_in_header) + offsetof(fuse_init_in, flags));
  offered_ = (flags & FUSE_PARALLEL_DIROPS) != 0;
  init_ = header.unique;
}

ssize_t ParallelDirops::write_init(int device, std::span<const iovec> reply) {
  auto answer = joined(reply);
  if (offered_) add_flag(answer);
  const ssize_t written = ::write(device, answer.data(), answer.size());
  if (written < 0 || read_as<fuse_out_header>(answer).error != 0) return written;
  agreed_ = true;
  if (ready_) ready_();
  return written;
}

}  // namespace spillway::kernel
