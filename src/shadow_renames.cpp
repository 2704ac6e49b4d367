#include "src/shadow_renames.h"

#include <cerrno>
#include <utility>

#include "src/shadow_layout.h"

namespace spillway {

using namespace layout;

namespace {

constexpr std::uint64_t kLargestEntry = 1ULL << 30U;

}  // namespace

ShadowRenames::ShadowRenames(Disk& disk, Executor& executor, TextHash hash)
    : disk_(disk), hash_(std::move(hash)), directory_(disk, executor, kRenames) {}

Result<> ShadowRenames::load(Log& log) {
  for (const auto& found : TRY(disk_.list(kRenames))) {
    const std::string name = in(kRenames, found.name);
    if (found.name.ends_with(kFresh)) {
      TRY(remove_if_there(disk_, name));
      continue;
    }
    auto text = read_text(disk_, name, kLargestEntry);
    // What the disk gives at a second try is no damage.
    if (!text && text.error().system_errno == EIO) text = read_text(disk_, name, kLargestEntry);
    if (!text && text.error().system_errno != EIO) return fail(text.error());
    auto rename = text ? tree_rename_from_text(*text, hash_) : std::nullopt;
    if (rename && rename->id == found.name) {
      unfinished_.push_back(*std::move(rename));
    } else {
      const std::string kept = TRY(set_aside(disk_, name, "rename-" + found.name));
      log.event(Level::error, "shadow_damaged", {{"name", name}, {"kept", disk_.absolute(kept)}});
    }
  }
  return {};
}

Result<> ShadowRenames::note(const TreeRename& rename) {
  TRY(write_text(disk_, in(kRenames, rename.id), to_text(rename, hash_)));
  return directory_.make_durable(directory_.changed());
}

Result<> ShadowRenames::forget(const std::string& id) {
  TRY(remove_if_there(disk_, in(kRenames, id)));
  return directory_.make_durable(directory_.changed());
}

}  // namespace spillway
