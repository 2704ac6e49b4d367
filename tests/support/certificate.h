// A self-signed certificate for localhost and 127.0.0.1, for servers of tests.
#pragma once

#include <filesystem>

namespace spillway {

struct Certificate {
  std::filesystem::path certificate_file;  // PEM; also what a client that trusts it is given
  std::filesystem::path key_file;
};

[[nodiscard]] Certificate make_certificate(const std::filesystem::path& directory);

}  // namespace spillway
