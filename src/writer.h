// The bytes of one file that is open for writing. Takes writes in any order, keeps them in RAM until
// B2 (or, diverted, the shadow) has them, and carries out what the upload machine (src/upload.h)
// decides.
//
// Mutating calls (write, truncate, commit) of one file take turns; reads go on meanwhile, and other
// files never wait. Nothing of a file is visible to anybody else before commit().
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "src/buffer_pool.h"
#include "src/executor.h"
#include "src/extents.h"
#include "src/guarded.h"
#include "src/hash.h"
#include "src/log.h"
#include "src/metadata.h"
#include "src/object_store.h"
#include "src/path.h"
#include "src/reader.h"
#include "src/report.h"
#include "src/requests.h"
#include "src/service.h"
#include "src/shadow.h"
#include "src/upload.h"

namespace spillway {

// What a writer works with. Everything outlives every writer.
struct WriterParts {
  ObjectStore& store;
  Shadow& shadow;
  BufferPool& pool;
  Executor& executor;
  const Hashing& hashing;
  Log& log;
  Service& service;
  Requests& requests;
};

struct WriterSettings {
  PartGrid grid{8ULL << 20U, 16ULL << 20U};
  UploadRules rules;
  std::string event = "upload";  // the name of its line in the log
  std::string correlation_id;    // of a drain: the file's own; empty: a new one for each version
};

// What the file holds before the first write. Neither: it is new, or truncated to nothing.
struct WriterBase {
  std::optional<RemoteVersion> remote;
  std::optional<ShadowRecord> local;  // whole, not split
};

struct CommitRequest {
  Path path;
  std::string content_type;
  Metadata metadata;
  Seen seen = Seen::unknown;  // what B2 held under the path, for a file that diverts
  Etag seen_etag;
  std::vector<std::string> own_ids;  // see ShadowRecord::own_ids
  std::optional<Error> refused;  // B2 must not get it now: to the shadow, for this reason
  bool is_unlinked = false;  // nothing of it may be published any more
};

struct CommitResult {
  StorageReport report;
  Metadata metadata;  // as it was stored: an upload in parts sends it when it begins
  WallTime answered_at{};                // by the server's clock
  std::optional<ShadowRecord> record;    // when it was diverted
  // No request failed on the way: B2 can't hold the same bytes a second time, unheard of.
  bool went_smoothly = false;
};

class Writer : public std::enable_shared_from_this<Writer> {
 public:
  // `describe` gives the name and metadata for an upload that begins before its commit. It is called
  // within the mutating calls and must not make one.
  using Describe = std::function<CommitRequest()>;
  static std::shared_ptr<Writer> make(const WriterParts& parts, const WriterSettings& settings,
                                      const WriterBase& base, Describe describe);
  // Takes up a split file that has an unfinished upload: write() is then expected for exactly the
  // ranges that the record says are in the shadow, then commit(). The grid of `settings` must be the
  // record's.
  static std::shared_ptr<Writer> resume(const WriterParts& parts, const WriterSettings& settings,
                                        const ShadowRecord& record, Describe describe);
  ~Writer();

  // All of `bytes` or an error; the first error stays: nothing is published after it, so that no
  // file is ever short without its writer knowing. Waits for memory when B2 is slower.
  // too_large past the largest file that --part-size and --memory allow. Bytes that only an unfinished
  // upload has can be neither changed nor read: then write(), truncate() and read() change nothing and
  // fail with Cause::in_upload, until a commit().
  Result<> write(std::uint64_t offset, std::span<const std::byte> bytes);
  // At the end of the file, whatever it is.
  Result<> append(std::span<const std::byte> bytes);
  Result<> truncate(std::uint64_t size);
  // The newest bytes; fewer than asked for only at the end.
  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> bytes);

  // Publishes all that was accepted, in B2 or in the shadow, and returns only when it is durable
  // there: see CommitResult.report. An error: nothing was published, the old content stays.
  // May be called again after an error, and after more writes.
  Result<CommitResult> commit(const CommitRequest& request);

  // The version that was opened has become another one with the same bytes: it was renamed, or its
  // metadata changed.
  void rebase(const RemoteVersion& version);

  [[nodiscard]] std::uint64_t size();
  [[nodiscard]] bool is_dirty();  // something was accepted that no commit has published
  // A file without bytes has something to publish as well: it is new, or was emptied.
  void mark_dirty();
  // All bytes are in RAM and nothing was sent: the upload can still be put off.
  [[nodiscard]] bool is_untouched_in_ram();
  // Bytes have left for B2 since the last commit: some may be in an unfinished upload only, which
  // can't be read.
  [[nodiscard]] bool has_begun();
  // The file is about to lose its name, and what the shadow has under it to go: from here on nothing
  // of that is needed. Bytes that leave RAM later go to a draft in the shadow, once describe() says
  // `is_unlinked`.
  Result<> keep_local_base();
  // Bytes accepted and not yet in B2 or the shadow.
  [[nodiscard]] std::uint64_t pending_bytes();
  // No more time: an upload under way diverts now.
  void give_up(const Error& reason);
  // The mount ends, and nobody closed the file: what no commit has published goes to the shadow's
  // lost+found, whose path is returned. An upload that holds a part of it is left to B2, and named
  // beside the bytes. Nothing of it is published, and nothing may be written any more.
  Result<std::string> set_aside(const CommitRequest& request, const Error& reason);
  // The file is gone: drops all bytes, aborts the upload.
  void discard();

 private:
  struct Timing {
    Instant began{};
    WallTime began_at{};
    Duration b2{};
    Duration shadow{};
    std::string request_id;
  };
  // One version on its way: from its first byte sent to its outcome.
  struct Run {
    explicit Run(Upload machine) : upload(std::move(machine)) {}
    std::uint64_t number = 0;
    Upload upload;
    CommitRequest described;           // the newest
    CommitRequest described_at_start;  // what CreateMultipartUpload sent
    Service::Admission admission;
    std::string correlation_id;
    std::string sha256;  // of a single PutObject
    Timing timing;
  };
  struct State {
    explicit State(const PartGrid& grid) : extents(grid, 0) {}
    Extents extents;
    std::map<PartNumber, Buffer> buffers;
    std::map<PartNumber, bool> dirty;  // of the parts in RAM: not in the version last committed
    std::optional<Run> run;
    std::uint64_t runs = 0;
    std::unique_ptr<ShadowDraft> draft;      // bytes go here once diverted
    std::optional<Error> draft_reason;       // why they do, where that was decided before
    std::optional<ShadowRecord> base_record;  // the whole shadow file that is being changed
    std::optional<ShadowRecord> published;    // of the run that was just diverted
    std::optional<RemoteVersion> base;
    std::shared_ptr<Reader> base_reader;
    std::optional<RemoteVersion> intermediate;  // made by this writer; goes with the next commit
    std::optional<Etag> made;  // of the newest version that this writer stored
    std::vector<std::string> own_ids;  // of runs that B2 may have taken all the same
    bool dirty_content = false;
    std::optional<Error> failure;  // sticky: of the last commit
    std::optional<Error> broken;   // sticky: a write was refused, so what there is is not the file
  };
  using Lock = Guarded<State>::Locked;

  Writer(const WriterParts& parts, const WriterSettings& settings, Describe describe);
  void set_base(State& state, const WriterBase& base);

  // writer.cpp: bytes. `lock` is held on entry and return, and released while waiting.
  Result<> write_locked(Lock& lock, std::uint64_t offset, std::span<const std::byte> bytes);
  [[nodiscard]] static Error in_upload();
  Result<> await_parts(Lock& lock, std::uint64_t offset, std::size_t size);
  Result<> write_pieces(Lock& lock, std::uint64_t offset, std::span<const std::byte> bytes);
  Result<> write_part(Lock& lock, PartNumber number, std::uint64_t offset,
                      std::span<const std::byte> bytes);
  Result<> extend(Lock& lock, std::uint64_t size);
  Result<> prepare_part(Lock& lock, PartNumber number, std::uint64_t needed);
  Result<> load_part(Lock& lock, PartNumber number);
  Result<> copy_base_to_draft(Lock& lock, PartNumber number);
  Result<> give_buffer(Lock& lock, PartNumber number, std::uint64_t needed);
  Result<> open_draft_of_base(Lock& lock);
  Result<> cut_to(Lock& lock, std::uint64_t size);
  Result<> draft_write(Lock& lock, std::uint64_t offset, std::span<const std::byte> bytes);
  void send_full_parts(Lock& lock, PartNumber touched);
  void relieve_pressure(State& state);
  void reset_run(Lock& lock);

  // writer_reading.cpp
  Result<std::size_t> read_piece(Lock& lock, std::uint64_t offset, std::span<std::byte> bytes);
  Result<std::size_t> read_base(Lock& lock, std::uint64_t offset, std::span<std::byte> bytes);

  // writer_commit.cpp: versions.
  Result<CommitResult> commit_locked(Lock& lock, const CommitRequest& request);
  Result<> gather_small_file(Lock& lock);
  Result<CommitResult> conclude(Lock& lock, const CommitRequest& request);
  void settle_stored(State& state, const CommitRequest& request, const StoredObject& stored);
  void settle_diverted(State& state);
  [[nodiscard]] event::Commit commit_event(State& state);
  [[nodiscard]] StorageReport report_of(State& state, const CommitRequest& request);
  [[nodiscard]] Error total_failure(const State& state);
  void log_outcome(State& state, const CommitRequest& request, const StorageReport& report);
  void remove_version(const Key& key, const VersionId& version);
  Run& run_of(Lock& lock);

  // writer_actions.cpp: what the machine decides.
  void post(Lock& lock, const UploadEvent& event);
  void carry_out(Lock& lock, const UploadAction& action);
  void submit(std::uint64_t run, std::function<UploadEvent()> work);
  void deliver(std::uint64_t run, const UploadEvent& event);
  template <class Call>
  auto ask_b2(std::uint64_t run, Call call);
  void do_put(Lock& lock, const action::PutObject& what);
  void do_create(Lock& lock, const action::CreateUpload& what);
  void do_send(Lock& lock, const action::SendPart& what);
  void do_complete(Lock& lock, const action::Complete& what);
  void do_look(Lock& lock);
  void do_abort(Lock& lock, const UploadId& id);
  void do_wake_at(Lock& lock, Instant when);
  void free_part(State& state, PartNumber number);
  void do_divert(Lock& lock);
  void do_publish(Lock& lock);
  Result<> move_to_draft();
  Result<> copy_base_part(Lock& lock, ShadowDraft& draft, PartNumber number);
  [[nodiscard]] bool copies_base(const State& state) const;
  void note_in_ledger(const LedgerEntry& entry);
  [[nodiscard]] ShadowRecord shadow_record(State& state);
  void describe_places(State& state, ShadowRecord& record) const;
  [[nodiscard]] Moment moment();
  [[nodiscard]] MetadataMap metadata_to_send(std::uint64_t run, const CommitRequest& request,
                                             const std::string& sha256);
  [[nodiscard]] Metadata sent_metadata(const CommitRequest& request, const Run& run);
  [[nodiscard]] static Result<Etag> etag_of(Result<UploadedPart> part);

  const WriterParts parts_;
  const WriterSettings settings_;
  const Describe describe_;
  Guarded<std::monostate> turn_;  // one mutating call at a time
  Guarded<State> state_;
  std::atomic<std::uint64_t> random_;
};

}  // namespace spillway
