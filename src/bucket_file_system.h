// The FileSystem over a bucket: merges what B2 holds (src/catalog.h), what the shadow keeps and
// what is open into one tree. What is open wins over the shadow, the shadow over B2.
//
// Locks, in the order in which they may be taken: a path's lock or a tree's (src/path_locks.h), the
// table of open files, where trees are (src/tree_renames.h) or one open file, a writer. No call to B2 is made with the table or an open file locked.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/catalog.h"
#include "src/drain.h"
#include "src/engine.h"
#include "src/file_system.h"
#include "src/open_directory.h"
#include "src/open_file.h"
#include "src/path_locks.h"
#include "src/service.h"
#include "src/tree_renames.h"
#include "src/tracked_executor.h"

namespace spillway {

class BucketFileSystem final : public FileSystem {
 public:
  BucketFileSystem(const EngineParts& parts, const EngineSettings& settings);
  ~BucketFileSystem() override;

  void set_kernel_cache(KernelCache* cache) override { kernel_cache_ = cache; }

  Result<Lookup> lookup(const Path& path) override;
  Result<Attributes> attributes(const Path& path, FileHandle* handle) override;
  Result<Attributes> set_attributes(const Path& path, FileHandle* handle,
                                    const AttributeChange& change, const Caller& caller) override;
  Result<Attributes> make_directory(const Path& path, std::uint32_t permissions,
                                    const Caller& caller) override;
  Result<Attributes> make_symlink(const Path& path, const std::string& target,
                                  const Caller& caller) override;
  Result<Attributes> make_special(const Path& path, FileKind kind, std::uint32_t permissions,
                                  const Caller& caller) override;
  Result<std::string> read_symlink(const Path& path) override;
  Result<> unlink(const Path& path) override;
  Result<> remove_directory(const Path& path) override;
  Result<> rename(const Path& from, const Path& to, RenameMode mode) override;

  Result<Opened> create(const Path& path, std::uint32_t permissions, OpenFlags flags,
                        const Caller& caller) override;
  Result<Opened> open(const Path& path, OpenFlags flags, const Caller& caller) override;
  Result<std::size_t> read(FileHandle& handle, std::uint64_t offset,
                           std::span<std::byte> bytes) override;
  Result<> write(FileHandle& handle, std::uint64_t offset,
                 std::span<const std::byte> bytes) override;
  Result<> flush(FileHandle& handle, const Caller& caller) override;
  Result<> fsync(FileHandle& handle) override;
  void release(FileHandle* handle) override;
  Result<> allocate(FileHandle& handle, Allocation mode, std::uint64_t offset,
                    std::uint64_t size) override;

  Result<DirectoryHandle*> open_directory(const Path& path) override;
  Result<> read_directory(DirectoryHandle& handle, std::uint64_t from, EntryDetail detail,
                          const std::function<bool(const DirectoryEntry&)>& visit) override;
  void release_directory(DirectoryHandle* handle) override;
  Result<> sync_directory(const Path& path) override;

  Result<Space> space() override;
  Result<std::string> get_xattr(const Path& path, const std::string& name) override;
  Result<std::vector<std::string>> list_xattrs(const Path& path) override;
  Result<> set_xattr(const Path& path, const std::string& name, const std::string& value,
                     XattrMode mode) override;
  Result<> remove_xattr(const Path& path, const std::string& name) override;

  void shut_down(Duration limit) override;

 private:
  using FilePointer = std::shared_ptr<OpenFile>;
  using OpenFiles = std::map<Path, FilePointer>;

  // What is under a name, all sources merged.
  struct Found {
    FilePointer open;
    std::optional<ShadowRecord> local;
    std::optional<RemoteFile> remote;
    bool is_directory = false;
    Metadata directory;      // of a directory, where known
    WallTime changed_at{};   // metadata that is on its way to B2
    Duration valid_for{};
    // B2 could not be asked: the answer is from what was known before.
    std::optional<Error> doubt;
    bool is_listed = false;  // in doubt: something is there, and nobody knows what
    [[nodiscard]] bool is_file() const { return open || local || remote; }
    [[nodiscard]] bool exists() const { return is_file() || is_directory; }
  };

  // bucket_file_system.cpp: what is there.
  [[nodiscard]] Found find_at(const Path& path);
  [[nodiscard]] bool is_only_a_means(const Path& path, const RemoteFile& file);
  // not_found where there is nothing; the doubt as an error only where nothing is known.
  [[nodiscard]] Result<Found> find_existing(const Path& path);
  [[nodiscard]] FilePointer find_open(const Path& path);
  [[nodiscard]] Attributes attributes_of(const Path& path, const Found& found);
  [[nodiscard]] Attributes attributes_of(OpenFile::State& state);
  [[nodiscard]] Attributes make_attributes(const Path& path, const Metadata& metadata,
                                           std::uint64_t size, WallTime fallback_time) const;
  [[nodiscard]] WriterParts writer_parts();
  [[nodiscard]] PartGrid part_grid() const;
  [[nodiscard]] WallTime now() const { return parts_.executor.clock().wall(); }

  // bucket_files.cpp: open files.
  [[nodiscard]] FilePointer open_found(const Path& path, const Found& found);
  [[nodiscard]] FilePointer make_open_file(const Path& path);
  [[nodiscard]] FilePointer enter(const Path& path, const Found& found);
  void leave(const FilePointer& file);
  [[nodiscard]] Result<Opened> add_handle(const FilePointer& file, const OpenFlags& flags);
  [[nodiscard]] Result<Opened> make_handle(const FilePointer& file, const OpenFlags& flags);
  [[nodiscard]] std::shared_ptr<Writer> make_writer(const FilePointer& file,
                                                    OpenFile::State& state, OpenFlags flags);
  void drop_if_unused(const FilePointer& file);
  Result<> checkpoint(const FilePointer& file);
  // A writer's call, again after each commit that it needs.
  template <class Call>
  auto with_checkpoints(const FilePointer& file, Call call) -> decltype(call()) {
    for (;;) {
      auto result = call();
      if (result.ok() || result.error().cause != Cause::in_upload) return result;
      TRY(checkpoint(file));
    }
  }
  [[nodiscard]] bool may_be_committed(OpenFile& file);
  [[nodiscard]] bool end_of_killed(const FilePointer& file);
  Result<std::size_t> read_stored(const FilePointer& file, std::uint64_t offset,
                                  std::span<std::byte> bytes);
  Result<std::size_t> read_object(const FilePointer& file, const std::shared_ptr<Reader>& reader,
                                  std::uint64_t offset, std::span<std::byte> bytes);
  Result<> truncate_unopened(const Path& path, std::uint64_t size, const Caller& caller);
  void wait_for_release(const FilePointer& file);

  // bucket_commits.cpp: making versions durable.
  Result<> commit(const FilePointer& file);
  [[nodiscard]] PathLocks::Held take_name_of(OpenFile& file);
  Result<> commit_named(const FilePointer& file, const Path& path);
  Result<> settle(const FilePointer& file, const CommitRequest& request,
                  const CommitResult& result);
  Result<> remove_older(const Path& path);
  [[nodiscard]] CommitRequest describe(OpenFile& file);
  [[nodiscard]] bool hold(const FilePointer& file);
  Result<> end_hold(const FilePointer& file);
  void hold_ended(const FilePointer& file, std::uint64_t hold);
  Result<> store_small(const Path& path, const Metadata& metadata, const std::string& body);

  // bucket_metadata.cpp: changes of what is stored already, gathered before they go to B2.
  struct MetadataWait {
    Instant first{};
    Instant last{};
    Instant not_before{};
    Duration pause{};  // after the failures so far
  };
  void show_waiting_metadata(const Path& path, RemoteEntry& entry, WallTime& changed_at);
  Result<> change_metadata(const Path& path, FileHandle* handle,
                           const std::function<Result<>(Metadata&)>& change);
  [[nodiscard]] Result<Found> find_stored(const Path& path);
  Result<> change_stored_metadata(const Path& path, const Found& found,
                                  const std::function<Result<>(Metadata&)>& change);
  Result<> put_off_metadata(const MetadataChange& change);
  void metadata_changed(const Path& path);
  void look_at_metadata(const Path& path, Instant when);
  void send_when_due(const Path& path);
  void tell_waiting(const Path& path, const Error& error);
  Result<> send_metadata(const Path& path);
  Result<> send_metadata_within(const Path& directory);
  [[nodiscard]] Result<bool> still_holds(const MetadataChange& change);
  Result<> send_change(const MetadataChange& change);
  Result<> end_metadata_wait(const FilePointer& file);
  void forget_waiting_metadata(const Path& path);
  void take_up_waiting_metadata();
  void forget_metadata_within(const Path& directory);
  void version_replaced(OpenFile& file, const RemoteFile& stored);
  Result<RemoteFile> store_metadata(const Path& path, const RemoteFile& remote,
                                    const Metadata& metadata);
  void remove_version(const Key& key, const VersionId& version);

  // bucket_names.cpp: renaming and removing. The callers hold the paths' locks.
  Result<> rename_file(const Path& from, const Path& to, const Found& source, const Found& target);
  Result<> rename_uncommitted(const FilePointer& file, const Path& to, const Found& target);
  Result<> rename_local(const ShadowRecord& record, const Path& to, const Found& target);
  Result<> rename_remote(const Path& from, const Path& to, const RemoteFile& remote);
  Result<> remove_source(const Path& from, const RemoteFile& remote);
  Result<> move_object(const Path& from, const Path& to, const RemoteFile& remote);
  Result<> take_back_copy(const Path& from, const RemoteFile& source, Error error, const Path& to,
                          const StoredObject& copy);
  void moved(const Path& from, const Path& to);
  [[nodiscard]] bool is_unknown_to_bucket(OpenFile& file);
  Result<> remove_remote(const Path& path);
  // Whether B2 had the name, and hides it now.
  Result<bool> remove_committed(const Path& path);
  [[nodiscard]] Result<bool> bucket_lacks(const Path& path, const ShadowRecord& record);
  void keep_readable(const FilePointer& file, const Path& path);
  FilePointer forget_open(const Path& path);

  // bucket_purge.cpp: removing the versions of a name that was removed. Nothing with --delete=hide.
  void purge(const Key& key, const FilePointer& file);
  void purge_later(std::vector<Purge> purges);
  void carry_out(Purge purge);
  Result<> remove_unneeded(Purge& purge, FilePointer& reader);
  [[nodiscard]] std::set<VersionId> needed_by_shadow(const Key& key);
  [[nodiscard]] std::vector<FilePointer> files_with_handles();
  [[nodiscard]] FilePointer reader_of(const Key& key, const VersionId& version);
  void tell_purge_incomplete(const Key& key, Fields fields);
  void end_purges(Instant deadline);

  // bucket_renames.cpp: renaming directories. Done once all copies exist, whatever comes after: ok
  // also where sources are left to be removed later.
  struct TreeMove {
    TreeRename rename;
    std::vector<MovingObject> objects;
    Metadata directory;
    bool is_noted = false;  // the journal may have it
  };
  // Of names in directories that are being renamed, where they are now.
  [[nodiscard]] Found find(const Path& path);
  [[nodiscard]] Path name_now(const Path& path);
  // The lock for a name that is to be made: not_found where its directory has gone meanwhile.
  [[nodiscard]] Result<PathLocks::Held> take_new_name(const Path& path);
  Result<> check_new_name(const Path& path, const PathLocks::Held& held);
  Result<> rename_directory(const Path& from, const Path& to, RenameMode mode);
  Result<> check_replaceable(const Path& from, const Path& to, const Found& target,
                             RenameMode mode);
  Result<> commit_below(const Path& directory);
  [[nodiscard]] bool is_only_here(const Path& directory);
  Result<std::vector<ObjectInfo>> list_tree(const Path& directory);
  Result<> check_new_names(const Path& from, const Path& to);
  Result<std::optional<MovingObject>> plan_object(const ObjectInfo& listed, const Path& from,
                                                  const Path& to);
  Result<TreeMove> plan_move(const Path& from, const Path& to, const Found& source,
                             const Found& target);
  Result<> carry_out(TreeMove& move);
  Result<> copy_all(TreeMove& move, TreeProgress& progress);
  Result<> carry_metadata(const TreeMove& move);
  Result<> undo(TreeMove& move, Error error);
  Result<> take_back(TreeRename& rename, const std::vector<MovingObject>& copies);
  bool settle_names(TreeMove& move);
  [[nodiscard]] RemoteFile copied_file(RemoteFile file, const Path& path,
                                       const StoredObject& copy) const;
  bool move_records(const TreeRename& rename, Seen seen);
  bool move_record(const TreeRename& rename, const ShadowRecord& record, Seen seen);
  void move_open_files(const TreeRename& rename, const std::map<Path, RemoteFile>& stored);
  void move_open_file(OpenFile::State& state, const Path& path, const RemoteFile* stored);

  // bucket_renames_unfinished.cpp
  void hide_half(const TreeRename& rename);
  void remember(const TreeRename& rename);
  void conclude(const TreeRename& rename, const TreeMover::Left& left, bool records_moved);
  void go_on_later();
  void go_on();
  Result<> finish(TreeRename rename);
  void resume_renames();
  [[nodiscard]] std::shared_ptr<TreeProgress> begin_progress(const TreeMove& move);
  void end_progress(const std::shared_ptr<TreeProgress>& progress);
  void tell_progress(const std::weak_ptr<TreeProgress>& weak);
  void add_renames(Fields& status);

  // bucket_directories.cpp
  Result<> store_directory(const Path& path, const Metadata& metadata);
  Result<> keep_directory_locally(const Path& path, const Metadata& metadata, const Error& reason,
                                  const Found& found);
  void keep_parent(const Path& path);
  void take_stretch(const Path& directory, const ListPosition& from,
                    DirectoryHandle::Snapshot& snapshot);
  void gather_names(const Path& directory, DirectoryHandle::Snapshot& snapshot,
                    std::map<std::string, DirectoryEntry>& names);
  void learn_ahead(const Path& directory, DirectoryHandle::Snapshot& snapshot, std::size_t from);
  void fill_attributes(const Path& directory, DirectoryEntry& entry);
  [[nodiscard]] Result<bool> is_empty(const Path& directory);

  // bucket_attributes.cpp
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  [[nodiscard]] Result<Pairs> report_attributes(const Path& path);
  [[nodiscard]] Result<StorageReport> report_of(const Path& path);
  [[nodiscard]] Pairs root_attributes();
  [[nodiscard]] std::string status_json();
  [[nodiscard]] Result<Metadata> metadata_of(const Path& path);
  void set_unclosed_aside(const FilePointer& file);
  void end_files(Instant deadline);
  void end_metadata_waits(Instant deadline);
  struct Pending {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] Pending pending();

  // bucket_file_system.cpp: the way back
  [[nodiscard]] std::shared_ptr<Drain> make_drain();
  [[nodiscard]] bool is_being_written(const Path& path);
  void drained(const Path& path, const RemoteFile& remote);

  void content_changed(const Path& path);

  TrackedExecutor jobs_;     // all jobs of this mount
  const EngineParts parts_;  // with jobs_ as its executor
  const EngineSettings settings_;
  Requests requests_;
  Service service_;
  BufferPool pool_;
  std::unique_ptr<Catalog> catalog_;
  PathLocks path_locks_;
  TreeRenames trees_;
  std::atomic<std::uint64_t> renames_begun_ = 0;
  Guarded<OpenFiles> open_files_;
  // Every handle that was not released: at an unmount the kernel may drop its last releases.
  Guarded<std::map<FileHandle*, std::unique_ptr<FileHandle>>> handles_;
  Guarded<std::map<Path, MetadataWait>> metadata_waits_;
  Guarded<int> purges_under_way_;
  std::shared_ptr<Drain> drain_;
  std::atomic<KernelCache*> kernel_cache_ = nullptr;
  std::atomic<bool> is_shutting_down_ = false;
  const Instant started_;
  std::atomic<std::uint64_t> hidden_keys_ = 0;
};

}  // namespace spillway
