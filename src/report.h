// Where a file is and why, as users read it: the `user.b2.*` attributes, the `result` JSON and the
// log line of an upload are three views of one StorageReport.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/clock.h"
#include "src/error.h"

namespace spillway {

// The words of `user.b2.storage`.
enum class Storage : std::uint8_t { b2, local, split, pending };
[[nodiscard]] std::string_view to_string(Storage storage);
[[nodiscard]] std::optional<Storage> storage_from(std::string_view word);

struct StorageReport {
  Storage storage = Storage::pending;
  std::string name;      // last segment of the path
  std::string location;  // key in B2, or absolute path in the shadow
  bool fallback_from_b2 = false;
  std::optional<Error> error;  // what B2 said when it failed; kept after a drain
  std::string correlation_id;
  std::optional<Duration> duration;     // of that upload
  std::optional<WallTime> uploaded_at;  // end of it
  int attempts = 0;                     // requests that carried bytes, at least 1 after an upload
  std::uint64_t size = 0;
  std::optional<WallTime> mtime;
  std::string etag;
  std::string version_id;
  std::string sha256;
  std::string content_type;
  bool writer_killed = false;
};

// Name without "user.b2." and value, in the order in which they are listed. Values that are not
// known are left out. The last one is `result`.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> to_attributes(
    const StorageReport& report);

// {"storage":…,"location":…,"fallback_from_b2":…,"track":{…},"correlation_id":…,"duration_ms":…};
// with error_code, detail and hints as well where the report has an error.
[[nodiscard]] nlohmann::ordered_json to_result_json(const StorageReport& report);

// The failure form: {"error_code":…,"error":…,"detail":…,"hints":[…]}.
[[nodiscard]] nlohmann::ordered_json to_failure_json(const Error& error);

}  // namespace spillway
