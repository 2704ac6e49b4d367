#include "src/shadow_ledger.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "src/shadow_entries.h"
#include "src/shadow_layout.h"

namespace spillway {

using namespace layout;

namespace {

constexpr std::uint64_t kLargestEntry = 64ULL << 10U;

// Bytes as a list of numbers: keys may be anything, and nobody reads these files.
std::string to_text(const LedgerEntry& entry, const TextHash& hash) {
  const auto bytes = [](const std::string& text) {
    return nlohmann::json(std::vector<unsigned char>(text.begin(), text.end()));
  };
  nlohmann::json json{{"key", bytes(entry.key)}, {"id", bytes(entry.id)}};
  if (!entry.unwanted_object.empty()) json["unwanted_object"] = bytes(entry.unwanted_object);
  const std::string line = json.dump();
  return line + "\n" + hash(line) + "\n";
}

std::optional<std::string> bytes_of(const nlohmann::json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_array()) return std::nullopt;
  std::string bytes;
  for (const auto& byte : *found) {
    if (!byte.is_number_unsigned() || byte.get<std::uint64_t>() > 0xff) return std::nullopt;
    bytes += static_cast<char>(byte.get<std::uint8_t>());
  }
  return bytes;
}

std::optional<LedgerEntry> entry_from(std::string_view text, const TextHash& hash) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  if (text.substr(end + 1) != hash(line) + "\n") return std::nullopt;
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  auto key = bytes_of(json, "key");
  auto id = bytes_of(json, "id");
  if (!key || !id) return std::nullopt;
  return LedgerEntry{*std::move(key), *std::move(id),
                     bytes_of(json, "unwanted_object").value_or("")};
}

}  // namespace

ShadowLedger::ShadowLedger(Disk& disk, Executor& executor, TextHash hash)
    : disk_(disk),
      hash_(std::move(hash)),
      directory_(disk, executor, kLedger),
      known_(executor) {}

std::string ShadowLedger::name_of(const UploadId& id) const { return in(kLedger, hash_(id)); }

Result<> ShadowLedger::load(Log& log) {
  const EntriesOf what{kLedger, "ledger-", kLargestEntry};
  return load_entries(disk_, what, log, [&](const std::string&, std::string_view text) {
    const auto entry = entry_from(text, hash_);
    if (entry) known_.lock()->emplace(entry->id, Known{*entry, true});
    return entry.has_value();
  });
}

Result<> ShadowLedger::note(const LedgerEntry& entry) {
  known_.lock()->insert_or_assign(entry.id, Known{entry, false});
  TRY(write_text(disk_, name_of(entry.id), to_text(entry, hash_)));
  return directory_.make_durable(directory_.changed());
}

Result<> ShadowLedger::forget(const UploadId& id) {
  known_.lock()->erase(id);
  return remove_if_there(disk_, name_of(id));
}

void ShadowLedger::leave(const UploadId& id) {
  auto known = known_.lock();
  const auto found = known->find(id);
  if (found != known->end()) found->second.is_orphan = true;
}

Result<> ShadowLedger::leave_with(const ShadowRecord& record) {
  if (!record.upload) return {};
  LedgerEntry entry{record.upload->key, record.upload->id, {}};
  {
    auto known = known_.lock();
    const auto found = known->find(entry.id);
    // Completed or aborted already, and forgotten.
    if (found == known->end()) return {};
    found->second.is_orphan = true;
    if (record.path.text() == entry.key) return {};
    entry.unwanted_object = record.metadata.correlation_id;
    found->second.entry = entry;
  }
  TRY(write_text(disk_, name_of(entry.id), to_text(entry, hash_)));
  return directory_.make_durable(directory_.changed());
}

std::vector<std::string> ShadowLedger::unwanted_objects(const Key& key) const {
  std::vector<std::string> ids;
  for (const auto& [id, known] : *known_.lock()) {
    const LedgerEntry& entry = known.entry;
    if (entry.key == key && !entry.unwanted_object.empty()) ids.push_back(entry.unwanted_object);
  }
  return ids;
}

std::vector<LedgerEntry> ShadowLedger::orphans(const std::set<UploadId>& named) const {
  std::vector<LedgerEntry> orphans;
  for (const auto& [id, known] : *known_.lock()) {
    if (known.is_orphan && !named.contains(id)) orphans.push_back(known.entry);
  }
  return orphans;
}

}  // namespace spillway
