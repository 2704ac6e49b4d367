#include "src/version_identity.h"

namespace spillway {

bool has_same_content(const VersionIdentity& one, const VersionIdentity& other) {
  return one.size == other.size && one.etag == other.etag;
}

bool is_same(const VersionIdentity& known, const VersionIdentity& listed) {
  using Source = VersionIdentity::Source;
  if (!has_same_content(known, listed)) return false;
  if (known.source == Source::listing && listed.source == Source::listing) {
    return known.modified == listed.modified;
  }
  if (known.modified == WallTime()) return true;
  return std::chrono::abs(known.modified - listed.modified) <= kAnswerTolerance;
}

}  // namespace spillway
