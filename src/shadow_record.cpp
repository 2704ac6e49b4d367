#include "src/shadow_record.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "src/utf8.h"

namespace spillway {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

// --- words

template <class Enumerator>
struct Word {
  Enumerator value;
  std::string_view word;
};

constexpr std::array kSeenWords{Word{Seen::unknown, "unknown"}, Word{Seen::absent, "absent"},
                                Word{Seen::object, "object"}, Word{Seen::doubtful, "doubtful"}};
constexpr std::array kKindWords{
    Word{FileKind::regular, "regular"}, Word{FileKind::directory, "directory"},
    Word{FileKind::symlink, "symlink"}, Word{FileKind::fifo, "fifo"},
    Word{FileKind::socket, "socket"}};
constexpr std::array kCauseWords{
    Word{Cause::none, "none"},
    Word{Cause::certificate, "certificate"},
    Word{Cause::upload_gone, "upload_gone"},
    Word{Cause::version_changed, "version_changed"},
    Word{Cause::ambiguous, "ambiguous"},
    Word{Cause::busy, "busy"},
    Word{Cause::not_entitled, "not_entitled"},
    Word{Cause::in_upload, "in_upload"},
};

template <class Words, class Enumerator>
std::string word_of(const Words& words, Enumerator value) {
  for (const auto& entry : words) {
    if (entry.value == value) return std::string(entry.word);
  }
  return std::to_string(static_cast<int>(value));  // read back as unknown, not as another value
}

// --- bytes

// Names, targets and attributes may hold any bytes, JSON only text. Everything but printable ASCII
// is written as in a URL: a person can still read most records, and they stay one line.
std::string armour(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  text.reserve(bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '%') {
      text += c;
    } else {
      text += {'%', kDigits[byte >> 4U], kDigits[byte & 0x0fU]};
    }
  }
  return text;
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

std::optional<std::string> without_armour(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      bytes += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const auto high = hex_digit(text[i + 1]);
    const auto low = hex_digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    bytes += static_cast<char>(*high << 4U | *low);
    i += 2;
  }
  return bytes;
}

// --- writing

Json to_json(const std::map<std::string, std::string>& map) {
  Json json = Json::object();
  for (const auto& [name, value] : map) json[armour(name)] = armour(value);
  return json;
}

Json to_json(const ByteRange& range) { return Json::array({range.offset, range.size}); }

Json to_json(const Metadata& metadata) {
  Json json{{"kind", word_of(kKindWords, metadata.kind)}};
  if (metadata.mtime) json["mtime"] = metadata.mtime->time_since_epoch().count();
  if (metadata.permissions) json["permissions"] = *metadata.permissions;
  if (metadata.uid) json["uid"] = *metadata.uid;
  if (metadata.gid) json["gid"] = *metadata.gid;
  json["xattrs"] = to_json(metadata.xattrs);
  json["correlation_id"] = armour(metadata.correlation_id);
  json["sha256"] = armour(metadata.sha256);
  if (metadata.writer_killed) json["writer_killed"] = true;
  json["foreign"] = to_json(metadata.foreign);
  return json;
}

Json to_json(const UnfinishedUpload& upload) {
  Json parts = Json::array();
  for (const auto& part : upload.parts) {
    parts.push_back({{"number", part.number},
                     {"range", to_json(part.range)},
                     {"etag", armour(part.etag)},
                     {"sha256", armour(part.sha256)}});
  }
  return {{"key", armour(upload.key)},
          {"id", armour(upload.id)},
          {"part_size", upload.part_size},
          {"largest_part", upload.largest_part},
          {"made_version", armour(upload.made_version)},
          {"parts", std::move(parts)}};
}

Json to_json(const RemoteVersion& version) {
  return {{"key", armour(version.key)},
          {"version_id", armour(version.version_id)},
          {"etag", armour(version.etag)},
          {"size", version.size}};
}

Json to_json(const Error& error) {
  Json json{{"code", to_string(error.code)},
            {"detail", armour(error.detail)},
            {"request_id", armour(error.request_id)},
            {"cause", word_of(kCauseWords, error.cause)},
            {"errno", error.system_errno}};
  if (error.retry_after) json["retry_after"] = error.retry_after->count();
  return json;
}

Json to_json(const ShadowRecord& record) {
  Json ranges = Json::array();
  for (const auto& range : record.ranges) ranges.push_back(to_json(range));
  Json json{{"format", kFormat},
            {"id", armour(record.id)},
            {"sequence", record.sequence},
            {"path", armour(record.path.text())},
            {"storage", to_string(record.storage)},
            {"size", record.size},
            {"ranges", std::move(ranges)},
            {"content_type", armour(record.content_type)},
            {"metadata", to_json(record.metadata)}};
  if (record.upload) json["upload"] = to_json(*record.upload);
  if (record.base) json["base"] = to_json(*record.base);
  json["seen"] = word_of(kSeenWords, record.seen);
  json["seen_etag"] = armour(record.seen_etag);
  json["own_ids"] = Json::array();
  for (const std::string& id : record.own_ids) json["own_ids"].push_back(armour(id));
  json["reason"] = to_json(record.reason);
  json["attempts"] = record.attempts;
  json["duration"] = record.duration.count();
  json["stored_at"] = record.stored_at.time_since_epoch().count();
  return json;
}

// --- reading: nothing is assumed, a text with a right checksum may still come from another version

std::unexpected<Error> wrong(std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("shadow record: {}", what));
}

Result<const Json*> member(const Json& json, const char* name) {
  if (!json.is_object()) return wrong("not an object");
  const auto found = json.find(name);
  if (found == json.end()) return wrong(fmt::format("{} is missing", name));
  return &*found;
}

template <std::integral Number>
Result<Number> number_from(const Json& json, std::string_view name) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    if (std::in_range<Number>(value)) return static_cast<Number>(value);
  } else if (json.is_number_integer()) {
    const auto value = json.get<std::int64_t>();
    if (std::in_range<Number>(value)) return static_cast<Number>(value);
  }
  return wrong(fmt::format("{} is no number in range", name));
}

template <std::integral Number>
Result<Number> number(const Json& json, const char* name) {
  const Json* found = TRY(member(json, name));
  return number_from<Number>(*found, name);
}

template <std::integral Number>
Result<std::optional<Number>> optional_number(const Json& json, const char* name) {
  if (!json.contains(name)) return std::optional<Number>();
  const Number value = TRY(number<Number>(json, name));
  return std::optional<Number>(value);
}

Result<std::string> text_from(const Json& json, std::string_view name) {
  if (!json.is_string()) return wrong(fmt::format("{} is no text", name));
  auto bytes = without_armour(json.get_ref<const std::string&>());
  if (!bytes) return wrong(fmt::format("{} is badly escaped", name));
  return *std::move(bytes);
}

Result<std::string> text(const Json& json, const char* name) {
  const Json* found = TRY(member(json, name));
  return text_from(*found, name);
}

template <class Words>
auto word(const Json& json, const char* name, const Words& words)
    -> Result<decltype(words.front().value)> {
  const std::string found = TRY(text(json, name));
  for (const auto& entry : words) {
    if (entry.word == found) return entry.value;
  }
  return wrong(fmt::format("{} is none of ours", name));
}

Result<std::map<std::string, std::string>> map(const Json& json, const char* name) {
  const Json* found = TRY(member(json, name));
  if (!found->is_object()) return wrong(fmt::format("{} is no object", name));
  std::map<std::string, std::string> result;
  for (const auto& [key, value] : found->items()) {
    auto plain = without_armour(key);
    if (!plain) return wrong(fmt::format("a name in {} is badly escaped", name));
    result[*std::move(plain)] = TRY(text_from(value, name));
  }
  return result;
}

Result<ByteRange> range_from(const Json& json) {
  if (!json.is_array() || json.size() != 2) return wrong("a range is no pair");
  ByteRange range;
  range.offset = TRY(number_from<std::uint64_t>(json[0], "offset"));
  range.size = TRY(number_from<std::uint64_t>(json[1], "size of a range"));
  if (range.end() < range.offset) return wrong("a range is too large");
  return range;
}

Result<std::vector<ByteRange>> ranges_from(const Json& json) {
  const Json* found = TRY(member(json, "ranges"));
  if (!found->is_array()) return wrong("ranges is no list");
  std::vector<ByteRange> ranges;
  for (const auto& range : *found) ranges.push_back(TRY(range_from(range)));
  return ranges;
}

Result<Metadata> metadata_from_json(const Json& json) {
  Metadata metadata;
  metadata.kind = TRY(word(json, "kind", kKindWords));
  if (const auto mtime = TRY(optional_number<std::int64_t>(json, "mtime"))) {
    metadata.mtime = WallTime(WallTime::duration(*mtime));
  }
  metadata.permissions = TRY(optional_number<std::uint32_t>(json, "permissions"));
  metadata.uid = TRY(optional_number<std::uint32_t>(json, "uid"));
  metadata.gid = TRY(optional_number<std::uint32_t>(json, "gid"));
  metadata.xattrs = TRY(map(json, "xattrs"));
  metadata.correlation_id = TRY(text(json, "correlation_id"));
  metadata.sha256 = TRY(text(json, "sha256"));
  metadata.writer_killed = json.value("writer_killed", false);
  metadata.foreign = TRY(map(json, "foreign"));
  return metadata;
}

Result<AcknowledgedPart> part_from(const Json& json) {
  AcknowledgedPart part;
  part.number = TRY(number<PartNumber>(json, "number"));
  if (part.number < 1 || part.number > kMostParts) return wrong("a part's number is out of range");
  const Json* range = TRY(member(json, "range"));
  part.range = TRY(range_from(*range));
  part.etag = TRY(text(json, "etag"));
  part.sha256 = TRY(text(json, "sha256"));
  return part;
}

Result<UnfinishedUpload> upload_from(const Json& json) {
  UnfinishedUpload upload;
  upload.key = TRY(text(json, "key"));
  upload.id = TRY(text(json, "id"));
  upload.part_size = TRY(number<std::uint64_t>(json, "part_size"));
  upload.largest_part = TRY(number<std::uint64_t>(json, "largest_part"));
  if (json.contains("made_version")) upload.made_version = TRY(text(json, "made_version"));
  const Json* parts = TRY(member(json, "parts"));
  if (!parts->is_array()) return wrong("parts is no list");
  for (const auto& part : *parts) upload.parts.push_back(TRY(part_from(part)));
  return upload;
}

Result<RemoteVersion> version_from(const Json& json) {
  RemoteVersion version;
  version.key = TRY(text(json, "key"));
  version.version_id = TRY(text(json, "version_id"));
  version.etag = TRY(text(json, "etag"));
  version.size = TRY(number<std::uint64_t>(json, "size"));
  return version;
}

Result<Error> error_from(const Json& json) {
  Error error;
  const auto code = error_code_from(TRY(text(json, "code")));
  if (!code) return wrong("the reason's code is none of ours");
  error.code = *code;
  error.detail = TRY(text(json, "detail"));
  error.request_id = TRY(text(json, "request_id"));
  error.cause = TRY(word(json, "cause", kCauseWords));
  error.system_errno = TRY(number<int>(json, "errno"));
  if (const auto after = TRY(optional_number<std::int64_t>(json, "retry_after"))) {
    error.retry_after = std::chrono::nanoseconds(*after);
  }
  return error;
}

Result<> read_place(const Json& json, ShadowRecord& record) {
  record.id = TRY(text(json, "id"));
  record.sequence = TRY(number<std::uint64_t>(json, "sequence"));
  auto path = Path::parse(TRY(text(json, "path")));
  if (!path || path->is_root()) return wrong("path can't be a file's");
  record.path = *std::move(path);
  const auto storage = storage_from(TRY(text(json, "storage")));
  if (storage != Storage::local && storage != Storage::split) return wrong("storage is not a shadow's");
  record.storage = *storage;
  record.size = TRY(number<std::uint64_t>(json, "size"));
  record.ranges = TRY(ranges_from(json));
  for (const auto& range : record.ranges) {
    if (range.end() > record.size) return wrong("a range ends after the file");
  }
  return {};
}

Result<> read_reason(const Json& json, ShadowRecord& record) {
  record.seen = TRY(word(json, "seen", kSeenWords));
  record.seen_etag = TRY(text(json, "seen_etag"));
  const Json* own_ids = TRY(member(json, "own_ids"));
  if (!own_ids->is_array()) return wrong("own_ids is no list");
  for (const auto& id : *own_ids) record.own_ids.push_back(TRY(text_from(id, "own_ids")));
  const Json* reason = TRY(member(json, "reason"));
  record.reason = TRY(error_from(*reason));
  record.attempts = TRY(number<int>(json, "attempts"));
  record.duration = Duration(TRY(number<std::int64_t>(json, "duration")));
  record.stored_at = WallTime(WallTime::duration(TRY(number<std::int64_t>(json, "stored_at"))));
  return {};
}

Result<ShadowRecord> record_from(const Json& json) {
  if (TRY(number<int>(json, "format")) != kFormat) return wrong("a format of another version");
  ShadowRecord record;
  TRY(read_place(json, record));
  record.content_type = TRY(text(json, "content_type"));
  const Json* metadata = TRY(member(json, "metadata"));
  record.metadata = TRY(metadata_from_json(*metadata));
  if (json.contains("upload")) {
    const Json* upload = TRY(member(json, "upload"));
    record.upload = TRY(upload_from(*upload));
  }
  if (json.contains("base")) {
    const Json* base = TRY(member(json, "base"));
    record.base = TRY(version_from(*base));
  }
  TRY(read_reason(json, record));
  return record;
}

}  // namespace

Path conflict_path(const ShadowRecord& record) {
  // Without what other systems refuse in a name.
  std::string date = to_rfc3339(record.stored_at).substr(0, 19);
  date[10] = ' ';
  date.erase(16, 1).erase(13, 1);
  const std::string suffix = " (conflict " + date + ")";
  std::string name(record.path.name().substr(0, kLongestName - suffix.size()));
  // Not in the middle of a character.
  while (!name.empty() && is_utf8(record.path.name()) && !is_utf8(name)) name.pop_back();
  return record.path.parent().child(name + suffix).value_or(record.path);
}

BytePlace place_of(const ShadowRecord& record, std::uint64_t offset) {
  using Kind = BytePlace::Kind;
  if (record.storage == Storage::local) return {Kind::shadow, record.size};
  BytePlace rest{record.base ? Kind::base : Kind::upload, record.size};
  const auto is_in = [&](const ByteRange& range) {
    if (offset < range.offset) rest.end = std::min(rest.end, range.offset);
    return offset >= range.offset && offset < range.end();
  };
  for (const ByteRange& range : record.ranges) {
    if (is_in(range)) return {Kind::shadow, range.end()};
  }
  if (!record.upload) return rest;
  for (const AcknowledgedPart& part : record.upload->parts) {
    if (is_in(part.range)) return {Kind::upload, part.range.end()};
  }
  return rest;
}

std::string to_text(const ShadowRecord& record,
                    const std::function<std::string(std::string_view)>& sha256_hex) {
  const std::string line = to_json(record).dump();
  return line + "\n" + sha256_hex(line) + "\n";
}

Result<ShadowRecord> record_from_text(
    std::string_view text, const std::function<std::string(std::string_view)>& sha256_hex) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return wrong("cut short");
  const std::string_view line = text.substr(0, end);
  if (text.substr(end + 1) != sha256_hex(line) + "\n") return wrong("the checksum differs");
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return wrong("not JSON");
  return record_from(json);
}

}  // namespace spillway
