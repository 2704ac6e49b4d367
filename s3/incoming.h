// The body of a GET on its way to the caller's sink: exactly the bytes that were asked for, or an
// error. Pure.
#pragma once

#include <cstdint>

#include "s3/http.h"
#include "src/object_store.h"

namespace spillway::s3 {

class Incoming {
 public:
  // Both outlive it.
  Incoming(const GetRequest& request, const ByteSink& sink) : request_(request), sink_(sink) {}

  // The head of a 2xx answer, before its body: whether these are the bytes that were asked for. A
  // server that ignored the range is refused unless what it sends is the same.
  Result<> accept(const HttpResponse& head);
  // More bytes than announced are refused before the sink sees one of them.
  Result<> take(std::span<const std::byte> bytes);
  // At the end: whether all of them came. `object()` is complete then.
  [[nodiscard]] Result<> finish() const;

  // With the object's whole size, whatever part of it was asked for.
  [[nodiscard]] const ObjectInfo& object() const { return object_; }

 private:
  Result<> accept_range(const Headers& headers, ByteRange wanted);

  const GetRequest& request_;
  const ByteSink& sink_;
  ObjectInfo object_;
  std::uint64_t expected_ = 0;
  std::uint64_t taken_ = 0;
};

}  // namespace spillway::s3
