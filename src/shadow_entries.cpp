#include "src/shadow_entries.h"

#include <cerrno>

#include "src/shadow_layout.h"

namespace spillway::layout {

Result<> load_entries(Disk& disk, const EntriesOf& what, Log& log,
                      const std::function<bool(const std::string& name, std::string_view text)>& take) {
  for (const auto& found : TRY(disk.list(std::string(what.directory)))) {
    const std::string name = in(what.directory, found.name);
    if (found.name.ends_with(kFresh)) {
      TRY(remove_if_there(disk, name));
      continue;
    }
    auto text = read_text(disk, name, what.largest);
    // What the disk gives at a second try is no damage.
    if (!text) text = read_text(disk, name, what.largest);
    // Nor is a lack of memory, descriptors or permission: nothing is promised away for it.
    const bool is_damaged = !text && (text.error().system_errno == EIO ||
                                      text.error().system_errno == EFBIG);
    if (!text && !is_damaged) return fail(text.error());
    if (text && take(found.name, *text)) continue;
    const std::string kept =
        TRY(set_aside(disk, name, std::string(what.set_aside_as) + found.name));
    log.event(Level::error, "shadow_damaged", {{"name", name}, {"kept", disk.absolute(kept)}});
  }
  return {};
}

}  // namespace spillway::layout
