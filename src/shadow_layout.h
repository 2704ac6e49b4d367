// Where things lie below the shadow's root (src/shadow.h has the map), and how single files of it
// are written, moved and set aside. Knows the disk and nothing else; no state, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/disk.h"
#include "src/error.h"
#include "src/shadow_record.h"

namespace spillway::layout {

inline constexpr const char* kFiles = "files";
inline constexpr const char* kParts = "parts";
inline constexpr const char* kDrafts = "drafts";
inline constexpr const char* kJournal = "journal";
inline constexpr const char* kLedger = "ledger";
inline constexpr const char* kMetadata = "metadata";
inline constexpr const char* kRenames = "renames";
inline constexpr const char* kLostAndFound = "lost+found";
inline constexpr const char* kLock = "lock";
inline constexpr const char* kMark = "spillway.json";
inline constexpr const char* kCleanEnd = "clean";
// The attribute cache. None of the shadow's own: nothing here reads it.
inline constexpr const char* kAttributes = "attributes.sqlite";

// A file that is about to get its name; means nothing after a crash.
inline constexpr std::string_view kFresh = ".new";
// A record whose file was deleted or drained, and whose data may not be gone yet.
inline constexpr std::string_view kRetired = ".removed";

// Where the data of a record is. A crash may leave it in either of the first two, or at its own
// path: whoever looks for it looks in this order, because a file under the path may also be that of
// an older record, while one under the id can be nobody else's.
enum class Place : std::uint8_t { drafts, parts, files };

// Sixteen hex digits.
[[nodiscard]] std::string id_of(std::uint64_t number);
[[nodiscard]] std::optional<std::uint64_t> number_of(std::string_view id);

[[nodiscard]] std::string in(std::string_view directory, std::string_view name);
[[nodiscard]] std::string data_name(Place place, const ShadowRecord& record);

// A whole file of ordinary kind goes under its own path; symlinks, fifos and directories would be
// mistaken for what they are not, ranges for a file.
[[nodiscard]] bool belongs_in_files(const ShadowRecord& record);

// The bytes that the shadow holds of the file.
[[nodiscard]] std::uint64_t bytes_of(const ShadowRecord& record);
// Whether data of this size can be the record's.
[[nodiscard]] bool fits(const ShadowRecord& record, std::uint64_t size);

[[nodiscard]] bool is_missing(const Error& error);  // ENOENT, or no directory on the way
// ok also where there is none.
Result<> remove_if_there(Disk& disk, const std::string& name);

// The whole file; fails with EFBIG over `largest`.
Result<std::string> read_text(Disk& disk, const std::string& name, std::uint64_t largest);
// Creates or replaces the file all or nothing. Its bytes are durable on return, its name is not.
Result<> write_text(Disk& disk, const std::string& name, std::string_view text);

// Moves the file to lost+found, under `as` or the next free name like it; returns the new name.
Result<std::string> set_aside(Disk& disk, const std::string& name, const std::string& as);

// Moves the data to files/PATH, or where that can't be (a file of that name that is not ours, a
// directory in the way, no space for directories) to parts/ID. Not durable, and need not be.
// Returns where it is now.
Place settle_data(Disk& disk, const ShadowRecord& record, Place now);

// Removes the data, and directories of files/ that got empty by it. ok also where there is none.
Result<> remove_data(Disk& disk, const ShadowRecord& record, Place place);
void remove_empty_parents(Disk& disk, const Path& path);

}  // namespace spillway::layout
