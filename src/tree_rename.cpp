#include "src/tree_rename.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/metadata.h"

namespace spillway {
namespace {

using Json = nlohmann::json;
using End = TreeMember::End;
using Stage = TreeRename::Stage;

constexpr std::array<std::pair<End, const char*>, 3> kEnds{
    {{End::removed, "removed"}, {End::hidden_and_removed, "hidden+removed"}, {End::hidden, "hidden"}}};

// Keys may be of any bytes: those that are no text are written as a list of numbers.
Json bytes_of(const std::string& text) {
  return Json(std::vector<unsigned char>(text.begin(), text.end()));
}

std::optional<std::string> bytes_from(const Json& json) {
  if (!json.is_array()) return std::nullopt;
  std::string bytes;
  for (const auto& byte : json) {
    if (!byte.is_number_unsigned() || byte.get<std::uint64_t>() > 0xff) return std::nullopt;
    bytes += static_cast<char>(byte.get<std::uint8_t>());
  }
  return bytes;
}

std::optional<Path> path_from(const Json& json) {
  const auto text = bytes_from(json);
  return text ? Path::parse(*text) : std::nullopt;
}

Json json_of(const TreeMember& member) {
  const auto* end = std::ranges::find(kEnds, member.end, &std::pair<End, const char*>::first);
  return Json::array({bytes_of(member.source), bytes_of(member.target), member.version, member.size,
                      end->second, member.upload});
}

std::optional<TreeMember> member_from(const Json& json) {
  constexpr std::size_t kFields = 6;
  if (!json.is_array() || json.size() != kFields) return std::nullopt;
  const auto source = bytes_from(json[0]);
  const auto target = bytes_from(json[1]);
  const bool has_texts = json[2].is_string() && json[5].is_string();
  if (!source || !target || !has_texts || !json[3].is_number_unsigned()) return std::nullopt;
  const auto* end = std::ranges::find_if(kEnds, [&](const auto& known) { return json[4] == known.second; });
  if (end == kEnds.end()) return std::nullopt;
  return TreeMember{*source, *target, json[2].get<std::string>(), json[3].get<std::uint64_t>(),
                    end->first, json[5].get<std::string>()};
}

std::optional<TreeRename> rename_from(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto from = path_from(json.value("from", Json()));
  const auto to = path_from(json.value("to", Json()));
  const Json id = json.value("id", Json());
  const Json stage = json.value("stage", Json());
  const Json members = json.value("members", Json());
  const Json records = json.value("records", Json());
  const bool is_known_stage = stage == "copying" || stage == "moving";
  if (!from || !to || !id.is_string() || !is_known_stage) return std::nullopt;
  if (!members.is_array() || !records.is_array()) return std::nullopt;
  TreeRename rename{.id = id.get<std::string>(), .from = *from, .to = *to, .members = {}, .records = {}};
  rename.stage = stage == "moving" ? Stage::moving : Stage::copying;
  rename.target_was_there = json.value("target_was_there", Json()) == true;
  for (const Json& each : members) {
    auto member = member_from(each);
    if (!member) return std::nullopt;
    rename.members.push_back(*std::move(member));
  }
  for (const Json& each : records) {
    if (!each.is_string()) return std::nullopt;
    rename.records.push_back(each.get<std::string>());
  }
  return rename;
}

}  // namespace

Result<Key> moved_key(const Key& key, const Path& from, const Path& to) {
  Key moved = to.prefix() + key.substr(from.prefix().size());
  if (moved.size() > kLongestKey) {
    return fail(ErrorCode::name_too_long,
                "B2 takes names of up to 1,024 bytes; this one would be longer: " + moved);
  }
  return moved;
}

bool is_copy_of(const ObjectInfo& copy, const TreeMember& member) {
  const bool has_id = !member.upload.empty() &&
                      metadata_from(copy.metadata).correlation_id == member.upload;
  return has_id && copy.size == member.size;
}

// The copy of an object of several parts may have another ETag.
bool is_copy_of(const ObjectInfo& copy, const ObjectInfo& source) {
  if (copy.size != source.size || copy.metadata != source.metadata) return false;
  return copy.etag == source.etag || source.size > kLargestCopy;
}

std::string to_text(const TreeRename& rename, const TextHash& hash) {
  Json members = Json::array();
  for (const TreeMember& member : rename.members) members.push_back(json_of(member));
  const Json json{{"id", rename.id},
                  {"from", bytes_of(rename.from.text())},
                  {"to", bytes_of(rename.to.text())},
                  {"stage", rename.stage == Stage::moving ? "moving" : "copying"},
                  {"target_was_there", rename.target_was_there},
                  {"members", std::move(members)},
                  {"records", rename.records}};
  const std::string line = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  return line + "\n" + hash(line) + "\n";
}

std::optional<TreeRename> tree_rename_from_text(std::string_view text, const TextHash& hash) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  if (text.substr(end + 1) != hash(line) + "\n") return std::nullopt;
  return rename_from(Json::parse(line, nullptr, /*allow_exceptions=*/false));
}

// --- what is seen meanwhile

void MovingTrees::hide(const std::string& id, const Path& tree, Hides hides) {
  trees_.push_back({id, tree, hides, std::nullopt});
}

void MovingTrees::move(const std::string& id, const Path& from, const Path& to) {
  trees_.push_back({id, from, Hides::all, to});
}

void MovingTrees::show(const std::string& id) {
  std::erase_if(trees_, [&](const Tree& tree) { return tree.id == id; });
}

std::optional<Path> MovingTrees::place_of(const Path& path) const {
  for (const Tree& tree : trees_) {
    if (!path.is_within(tree.top)) continue;
    if (tree.hides == Hides::below && path == tree.top) continue;
    if (!tree.now) return std::nullopt;
    return path.rebased(tree.top, *tree.now);
  }
  return path;
}

bool MovingTrees::concern(const Path& path) const {
  return std::ranges::any_of(trees_, [&](const Tree& tree) {
    return path.is_within(tree.top) || tree.top.is_within(path);
  });
}

}  // namespace spillway
