// BucketFileSystem, continued: renames of directories that an outage, a full disk or a crash has left
// unfinished. Those in stage "moving" are rolled forward, the others back; until then the half that
// must not be seen is hidden, and nothing can be made there.
#include <algorithm>
#include <utility>

#include "src/bucket_file_system.h"

namespace spillway {
namespace {

using Stage = TreeRename::Stage;

constexpr Duration kAgainAfter = std::chrono::seconds(5);
constexpr Duration kProgressEvery = std::chrono::seconds(5);

}  // namespace

// What the rest of it needs hidden: of a rename in "copying" the target, else the source.
void BucketFileSystem::hide_half(const TreeRename& rename) {
  auto places = trees_.places.lock();
  places->show(rename.id);
  if (rename.stage == Stage::moving) {
    places->hide(rename.id, rename.from, MovingTrees::Hides::all);
  } else {
    places->hide(rename.id, rename.to,
                 rename.target_was_there ? MovingTrees::Hides::below : MovingTrees::Hides::all);
  }
}

void BucketFileSystem::remember(const TreeRename& rename) {
  hide_half(rename);
  bool is_first = false;
  {
    auto unfinished = trees_.unfinished.lock();
    is_first = unfinished->empty();
    unfinished->push_back(rename);
  }
  if (is_first) go_on_later();
}

// The caller's rename is done either way; what is left of it is told loudly, and done later.
void BucketFileSystem::conclude(const TreeRename& rename, const TreeMover::Left& left,
                                bool records_moved) {
  const bool is_done = left.objects == 0 && records_moved;
  const Result<> forgotten = is_done ? parts_.shadow.forget_rename(rename.id) : Result<>{};
  if (is_done && forgotten.ok()) {
    catalog_->tree_removed(rename.from);  // a listing made meanwhile may have shown the rest of it
    trees_.places.lock()->show(rename.id);
    return;
  }
  Fields fields = left.reason ? to_failure_json(*left.reason) : Fields::object();
  fields.update(fields_of(rename));
  fields["left"] = left.objects;
  fields["hint"] = "the directory has its new name; what is left of the old one in B2 is not shown, "
                   "and is removed once B2 and the shadow's disk allow it";
  parts_.log.event(Level::error, "rename_unfinished", std::move(fields));
  if (left.reason) service_.set_last_error(*left.reason);
  remember(rename);
}

void BucketFileSystem::go_on_later() {
  if (is_shutting_down_) return;
  parts_.executor.submit_at(parts_.executor.clock().now() + kAgainAfter, [this] { go_on(); });
}

// One after the other, each with what is left of it.
void BucketFileSystem::go_on() {
  if (is_shutting_down_) return;
  const std::vector<TreeRename> all = *trees_.unfinished.lock();
  for (const TreeRename& rename : all) {
    if (is_shutting_down_) return;
    if (!finish(rename).ok()) continue;
    std::erase_if(*trees_.unfinished.lock(),
                  [&](const TreeRename& each) { return each.id == rename.id; });
    Fields fields = fields_of(rename);
    fields["outcome"] = rename.stage == Stage::moving ? "moved" : "taken back";
    parts_.log.event(Level::info, "rename_finished", std::move(fields));
  }
  if (!trees_.unfinished.lock()->empty()) go_on_later();
}

Result<> BucketFileSystem::finish(TreeRename rename) {
  if (rename.stage == Stage::copying) return take_back(rename, {});
  if (!move_records(rename, Seen::unknown)) {
    return fail(ErrorCode::local_error, "the shadow could not rename all of its files");
  }
  const bool is_local = settings_.service.state == ServiceState::local_only;
  if (is_local && !rename.members.empty()) return fail(*settings_.service.reason);
  const TreeMover::Left left = trees_.mover.remove_sources(rename);
  if (left.reason) return fail(*left.reason);
  TRY(parts_.shadow.forget_rename(rename.id));
  catalog_->tree_removed(rename.from);
  trees_.places.lock()->show(rename.id);
  return {};
}

// Before the first call: the shadow's files get their names at once, for what B2 has to do a job goes
// on.
void BucketFileSystem::resume_renames() {
  for (const TreeRename& rename : parts_.shadow.unfinished_renames()) {
    Fields fields = fields_of(rename);
    const bool moves = rename.stage == Stage::moving;
    fields["detail"] = moves ? "a crash or an outage left the old name's objects: they are removed now"
                             : "a crash or an outage left copies under the new name: they are taken "
                               "back now";
    parts_.log.event(Level::warning, "rename_resumed", std::move(fields));
    if (moves) static_cast<void>(move_records(rename, Seen::unknown));
    hide_half(rename);
    trees_.unfinished.lock()->push_back(rename);
  }
  if (!trees_.unfinished.lock()->empty()) parts_.executor.submit([this] { go_on(); });
}

// --- how far it is

std::shared_ptr<TreeProgress> BucketFileSystem::begin_progress(const TreeMove& move) {
  auto progress = std::make_shared<TreeProgress>();
  progress->from = move.rename.from;
  progress->to = move.rename.to;
  progress->began = parts_.executor.clock().now();
  progress->total = static_cast<std::uint64_t>(std::ranges::count_if(
      move.objects, [](const MovingObject& object) { return !object.member.target.empty(); }));
  trees_.running.lock()->push_back(progress);
  tell_progress(progress);
  return progress;
}

void BucketFileSystem::end_progress(const std::shared_ptr<TreeProgress>& progress) {
  std::erase(*trees_.running.lock(), progress);
}

void BucketFileSystem::tell_progress(const std::weak_ptr<TreeProgress>& weak) {
  const Instant next = parts_.executor.clock().now() + kProgressEvery;
  parts_.executor.submit_at(next, [this, weak] {
    const auto progress = weak.lock();
    if (!progress) return;
    Fields fields = Fields::object();
    fields["from"] = progress->from.text() + "/";
    fields["to"] = progress->to.text() + "/";
    fields["done"] = progress->done.load();
    fields["total"] = progress->total.load();
    parts_.log.event(Level::info, "rename_progress", std::move(fields));
    tell_progress(weak);
  });
}

void BucketFileSystem::add_renames(Fields& status) {
  for (const auto& progress : *trees_.running.lock()) {
    Fields& rename = status["rename"];
    rename["from"] = progress->from.text() + "/";
    rename["to"] = progress->to.text() + "/";
    rename["done"] = progress->done.load();
    rename["total"] = progress->total.load();
  }
  const std::size_t unfinished = trees_.unfinished.lock()->size();
  if (unfinished > 0) status["unfinished_renames"] = unfinished;
}

}  // namespace spillway
