#include "src/cli/deferred_shadow.h"

#include <atomic>
#include <cerrno>
#include <utility>

#include "src/guarded.h"

namespace spillway::cli {
namespace {

class OpensLate final : public DeferredShadow {
 public:
  OpensLate(Opener opener, Executor& executor)
      : opener_(std::move(opener)), opened_(executor, nullptr) {}

  void open_if_free() override {
    if (!open().ok()) locked_out_ = false;
  }
  bool was_locked_out() const override { return locked_out_; }

  const ShadowRecovery& recovery() const override {
    return shadow() == nullptr ? no_recovery_ : shadow()->recovery();
  }

  Result<std::unique_ptr<ShadowDraft>> create_draft() override {
    return TRY(open())->create_draft();
  }
  Result<std::unique_ptr<ShadowDraft>> copy_to_draft(const ShadowRecord& record) override {
    return TRY(open())->copy_to_draft(record);
  }
  Result<ShadowRecord> publish(ShadowDraft& draft, ShadowRecord record) override {
    return TRY(open())->publish(draft, std::move(record));
  }
  Result<std::string> set_aside(ShadowDraft& draft, const ShadowRecord& record) override {
    return TRY(open())->set_aside(draft, record);
  }

  std::optional<ShadowRecord> find(const Path& path) const override {
    return shadow() == nullptr ? std::nullopt : shadow()->find(path);
  }
  std::vector<ShadowRecord> within(const Path& directory) const override {
    if (shadow() == nullptr) return {};
    return shadow()->within(directory);
  }
  std::vector<ShadowRecord> begun_as(const Path& path) const override {
    if (shadow() == nullptr) return {};
    return shadow()->begun_as(path);
  }
  ShadowUsage usage() const override {
    return shadow() == nullptr ? ShadowUsage{} : shadow()->usage();
  }
  std::string location_of(const ShadowRecord& record) const override {
    return shadow() == nullptr ? "" : shadow()->location_of(record);
  }

  // Records come from find() and publish() only: with one in hand the shadow is open.
  Result<std::unique_ptr<DiskFile>> open_data(const ShadowRecord& record) override {
    return TRY(open())->open_data(record);
  }
  Result<> remove(const std::string& id) override { return TRY(open())->remove(id); }
  Result<ShadowRecord> rename(const std::string& id, const Path& to) override {
    return TRY(open())->rename(id, to);
  }
  Result<> update(const ShadowRecord& record) override { return TRY(open())->update(record); }

  // With the lock in other hands the upload goes on without a ledger: what a crash of this command
  // leaves is then for the bucket's lifecycle rule to take.
  Result<> note_upload(const LedgerEntry& entry) override {
    const auto opened = open();
    if (opened.ok()) return (*opened)->note_upload(entry);
    if (!locked_out_.exchange(false)) return fail(opened.error());
    return {};
  }
  Result<> forget_upload(const UploadId& id) override {
    return shadow() == nullptr ? Result<>() : shadow()->forget_upload(id);
  }
  void leave_upload(const UploadId& id) override {
    if (shadow() != nullptr) shadow()->leave_upload(id);
  }
  std::vector<LedgerEntry> orphaned_uploads() const override {
    if (shadow() == nullptr) return {};
    return shadow()->orphaned_uploads();
  }
  std::vector<std::string> unwanted_objects(const Key& key) const override {
    if (shadow() == nullptr) return {};
    return shadow()->unwanted_objects(key);
  }
  Result<> note_metadata(const MetadataChange& change) override {
    return TRY(open())->note_metadata(change);
  }
  Result<> forget_metadata(const Path& path) override {
    return shadow() == nullptr ? Result<>() : shadow()->forget_metadata(path);
  }
  std::optional<MetadataChange> waiting_metadata(const Path& path) const override {
    return shadow() == nullptr ? std::nullopt : shadow()->waiting_metadata(path);
  }
  std::vector<MetadataChange> waiting_metadata() const override {
    if (shadow() == nullptr) return {};
    return shadow()->waiting_metadata();
  }
  // Directories are renamed by mounts, which hold the shadow.
  Result<> note_rename(const TreeRename& rename) override { return TRY(open())->note_rename(rename); }
  Result<> forget_rename(const std::string& id) override { return TRY(open())->forget_rename(id); }
  std::vector<TreeRename> unfinished_renames() const override { return {}; }
  Result<> close_cleanly() override {
    return shadow() == nullptr ? Result<>() : shadow()->close_cleanly();
  }

 private:
  // Once opened it stays so: the pointer outlives the lock.
  Shadow* shadow() const { return opened_.lock()->get(); }

  Result<Shadow*> open() {
    auto opened = opened_.lock();
    if (*opened != nullptr) return opened->get();
    auto made = opener_();
    if (made.ok()) {
      *opened = std::move(*made);
      return opened->get();
    }
    if (made.error().code != ErrorCode::exists) return fail(made.error());
    locked_out_ = true;
    return fail_errno(EBUSY, "the shadow is held by another process");
  }

  Opener opener_;
  mutable Guarded<std::unique_ptr<Shadow>> opened_;
  std::atomic<bool> locked_out_ = false;
  const ShadowRecovery no_recovery_;
};

}  // namespace

std::unique_ptr<DeferredShadow> make_deferred_shadow(DeferredShadow::Opener opener,
                                                     Executor& executor) {
  return std::make_unique<OpensLate>(std::move(opener), executor);
}

}  // namespace spillway::cli
