#include "tests/support/temp_directory.h"

#include <cstdlib>
#include <system_error>

namespace spillway {

namespace {

std::filesystem::path make_directory() {
  std::string name = std::filesystem::temp_directory_path() / "spillway-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), name);
  }
  return name;
}

}  // namespace

TempDirectory::TempDirectory() : path_(make_directory()) {}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace spillway
