// The port to B2 (src/object_store.h) over S3's HTTP interface, path-style, signed with SigV4.
//
// Beyond what the port promises:
//  - A HEAD that is refused with 403 has no body to name the reason, so head_object() asks once
//    more with a GET of one byte and reports what that says.
//  - A range at or after the end is answered 416 without the object's headers: get_object() then
//    asks HEAD for them.
//  - What was learnt from an answer holds for the life of the store: the clock's offset, and that
//    the bucket demands Content-MD5.
//  - Requests the server can't accept (too large, no key, metadata that is not printable ASCII) are
//    refused without being sent.
//
// Never sent, because B2 refuses or misreads it: x-amz-checksum-*, aws-chunked, tagging, ACLs,
// conditional PUT, Expect, Accept-Encoding.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "s3/endpoint.h"
#include "s3/http.h"
#include "src/clock.h"
#include "src/executor.h"
#include "src/object_store.h"

namespace spillway::s3 {

// `signed_payload`: the server verifies every byte (SHA-256, which costs CPU unless the caller has
// the digest already). `unsigned_payload` leaves that to TLS, and so counts only over https.
enum class PayloadMode : std::uint8_t { signed_payload, unsigned_payload };

struct Timeouts {
  Duration connect = std::chrono::seconds(10);
  Duration stall = std::chrono::seconds(30);        // no byte in either direction
  Duration server_side = std::chrono::minutes(20);  // stall of Complete and Copy: the server works
  Duration small_answer = std::chrono::minutes(5);  // total, where neither side sends bulk data
};

struct Settings {
  Endpoint endpoint;  // its region is what the signature names
  std::string bucket;
  std::string access_key;
  std::string secret_key;  // kept in memory that is wiped when the store goes
  PayloadMode payload_mode = PayloadMode::signed_payload;
  std::string ca_file;  // empty: the system's authorities
  std::string proxy;    // empty: none, whatever the environment says
  std::string user_agent = "spillway/" SPILLWAY_VERSION;
  Timeouts timeouts;
};

// Opens no connection. `executor` outlives the store. The copy of the secret in `settings` is
// wiped before this returns.
[[nodiscard]] std::unique_ptr<ObjectStore> make_object_store(Settings settings, Executor& executor);

// The same over another transport.
[[nodiscard]] std::unique_ptr<ObjectStore> make_object_store(Settings settings, Executor& executor,
                                                             std::unique_ptr<Http> http);

}  // namespace spillway::s3
