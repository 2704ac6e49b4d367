// Writer, continued: reading back what is being written.
#include <algorithm>
#include <cstring>

#include "src/writer.h"

namespace spillway {

using Source = Extents::Source;

Error Writer::in_upload() {
  Error error;
  error.code = ErrorCode::server_error;
  error.cause = Cause::in_upload;
  error.detail =
      "this part of the file is on its way to B2, and can't be read before it is committed";
  return error;
}

Result<std::size_t> Writer::read(std::uint64_t offset, std::span<std::byte> bytes) {
  auto lock = state_.lock();
  std::size_t done = 0;
  while (done < bytes.size() && offset + done < lock->extents.size()) {
    const std::size_t got = TRY(read_piece(lock, offset + done, bytes.subspan(done)));
    if (got == 0) break;
    done += got;
  }
  return done;
}

Result<std::size_t> Writer::read_piece(Lock& lock, std::uint64_t offset,
                                       std::span<std::byte> bytes) {
  const PartNumber number = settings_.grid.part_at(offset);
  const ByteRange range = lock->extents.range_of(number);
  const auto piece = bytes.first(std::min<std::uint64_t>(bytes.size(), range.end() - offset));
  if (lock->base_record) return read_base(lock, offset, piece);
  // Diverted as split by a commit within a call: what it has is read from the shadow's record.
  if (!lock->run && !lock->draft && lock->failure) return fail(*lock->failure);
  switch (lock->extents.source_of(number)) {
    case Source::base: return read_base(lock, offset, piece);
    case Source::shadow: return lock->draft->read(offset, piece);
    case Source::ram: {
      const auto held = lock->buffers[number].bytes().subspan(offset - range.offset, piece.size());
      std::memcpy(piece.data(), held.data(), held.size());
      return held.size();
    }
    case Source::uploaded: break;
  }
  if (lock->draft) return fail(total_failure(*lock));
  return fail(in_upload());
}

Result<std::size_t> Writer::read_base(Lock& lock, std::uint64_t offset,
                                      std::span<std::byte> bytes) {
  if (lock->base_record) {
    const auto record = *lock->base_record;
    return lock.unlocked([&]() -> Result<std::size_t> {
      const auto file = TRY(parts_.shadow.open_data(record));
      return file->read_at(offset, bytes);
    });
  }
  if (!lock->base) return fail(ErrorCode::stale, "nothing to read this part of the file from");
  if (!lock->base_reader) {
    lock->base_reader =
        make_reader(parts_.requests, parts_.pool, parts_.executor, *lock->base);
  }
  const auto reader = lock->base_reader;
  auto got = lock.unlocked([&] { return reader->read(offset, bytes); });
  // A version that got other metadata is replaced by one with the same bytes, and goes.
  const bool was_replaced = !got.ok() && lock->base && lock->base_reader != reader;
  return was_replaced ? read_base(lock, offset, bytes) : got;
}

}  // namespace spillway
