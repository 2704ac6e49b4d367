#include "tests/support/shadow_rig.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <span>

#include "s3/hash.h"

namespace spillway {

void RecordingLog::event(Level, std::string_view event, Fields fields) {
  const std::lock_guard held(mutex_);
  lines_.push_back({std::string(event), std::move(fields)});
}

std::size_t RecordingLog::count(std::string_view event) const {
  const std::lock_guard held(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count(lines_, event, [](const Line& line) -> std::string_view { return line.event; }));
}

Fields RecordingLog::last(std::string_view event) const {
  const std::lock_guard held(mutex_);
  for (auto line = lines_.rbegin(); line != lines_.rend(); ++line) {
    if (line->event == event) return line->fields;
  }
  return nullptr;
}

Path path_of(std::string_view text) {
  auto path = Path::parse(text);
  if (!path) std::abort();
  return *std::move(path);
}

ModelTree after(ModelTree tree, const ShadowStep& step) {
  switch (step.kind) {
    case ShadowStep::Kind::publish:
      tree[step.path] = {step.content, step.note};
      break;
    case ShadowStep::Kind::remove:
      tree.erase(step.path);
      break;
    case ShadowStep::Kind::rename:
      if (step.path == step.to) break;
      tree[step.to] = tree.at(step.path);
      tree.erase(step.path);
      break;
    case ShadowStep::Kind::update:
      tree.at(step.path).note = step.note;
      break;
  }
  return tree;
}

bool is_possible(const ModelTree& tree, const ShadowStep& step) {
  return step.kind == ShadowStep::Kind::publish || tree.contains(step.path);
}

ShadowRig::ShadowRig(ShadowSettings wanted)
    : settings(std::move(wanted)),
      executor_(make_thread_executor(1)),
      hashing_(s3::make_hashing()) {}

ShadowRig::~ShadowRig() = default;

Result<> ShadowRig::open() {
  shadow.reset();
  shadow = TRY(open_shadow(disk, settings, *executor_, *hashing_, log));
  return {};
}

void ShadowRig::kill() {
  shadow.reset();
  disk.process_ends();
}

void ShadowRig::power_cut(std::uint64_t seed) {
  shadow.reset();
  disk.power_cut(seed);
}

Result<ShadowRecord> ShadowRig::publish(std::string_view path, std::string_view content,
                                        std::string_view note) {
  auto draft = TRY(shadow->create_draft());
  TRY(draft->write(0, std::as_bytes(std::span(content))));
  ShadowRecord record;
  record.path = path_of(path);
  record.size = content.size();
  record.reason.code = ErrorCode::timeout;
  record.reason.detail = note;
  return shadow->publish(*draft, record);
}

std::string ShadowRig::id_at(std::string_view path) {
  const auto record = shadow->find(path_of(path));
  return record ? record->id : "";
}

Result<> ShadowRig::carry_out(const ShadowStep& step) {
  switch (step.kind) {
    case ShadowStep::Kind::publish:
      TRY(publish(step.path, step.content, step.note));
      return {};
    case ShadowStep::Kind::remove:
      return shadow->remove(id_at(step.path));
    case ShadowStep::Kind::rename:
      TRY(shadow->rename(id_at(step.path), path_of(step.to)));
      return {};
    case ShadowStep::Kind::update: {
      auto record = *shadow->find(path_of(step.path));
      record.reason.detail = step.note;
      return shadow->update(record);
    }
  }
  std::abort();
}

Result<std::string> ShadowRig::content(const ShadowRecord& record) {
  const auto file = TRY(shadow->open_data(record));
  std::string text(static_cast<std::size_t>(TRY(file->size())), '\0');
  text.resize(TRY(file->read_at(0, std::as_writable_bytes(std::span(text)))));
  return text;
}

Result<ModelTree> ShadowRig::state() {
  ModelTree tree;
  for (const auto& record : shadow->within(Path())) {
    std::string text = TRY(content(record));
    const std::string location = shadow->location_of(record).substr(disk.absolute("").size() + 1);
    if (disk.content(location) != text) {
      return fail(ErrorCode::invalid_argument, "location_of() is wrong: " + location);
    }
    tree[record.path.text()] = {std::move(text), record.reason.detail};
  }
  return tree;
}

std::string some_content(std::uint64_t seed, std::size_t size) {
  std::mt19937_64 random(seed);
  std::string text(size, '\0');
  for (auto& c : text) c = static_cast<char>(random());
  return text;
}

}  // namespace spillway
