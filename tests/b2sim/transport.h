// A connection's bytes, with or without TLS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace b2sim {

// One thread at a time. Every method that can fail throws Disconnected when the other side is gone.
class Transport {
 public:
  virtual ~Transport() = default;
  // At least one byte, or 0 at the end of what the other side sends.
  virtual std::size_t read_some(std::span<std::byte> buffer) = 0;
  virtual void write(std::span<const std::byte> bytes) = 0;
  // Bytes [offset, offset + size) of an open file.
  virtual void write_file(int descriptor, std::uint64_t offset, std::uint64_t size) = 0;
  // Ends the connection abruptly: the other side sees a reset.
  virtual void reset() noexcept = 0;
  // The other side has closed: what it sent before may still be there to read.
  [[nodiscard]] virtual bool is_closed() const noexcept = 0;
  // Says that nothing more is written, and reads on for a moment, so that an answer sent before
  // the end of the request is not lost with the connection.
  virtual void finish() noexcept = 0;
};

}  // namespace b2sim
