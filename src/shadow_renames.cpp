#include "src/shadow_renames.h"

#include <utility>

#include "src/shadow_entries.h"
#include "src/shadow_layout.h"

namespace spillway {

using namespace layout;

namespace {

constexpr std::uint64_t kLargestEntry = 1ULL << 30U;

}  // namespace

ShadowRenames::ShadowRenames(Disk& disk, Executor& executor, TextHash hash)
    : disk_(disk), hash_(std::move(hash)), directory_(disk, executor, kRenames) {}

Result<> ShadowRenames::load(Log& log) {
  const EntriesOf what{kRenames, "rename-", kLargestEntry};
  return load_entries(disk_, what, log, [&](const std::string& name, std::string_view text) {
    auto rename = tree_rename_from_text(text, hash_);
    if (!rename || rename->id != name) return false;
    unfinished_.push_back(*std::move(rename));
    return true;
  });
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
