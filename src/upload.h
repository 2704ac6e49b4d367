// The life of one version of a file on its way to B2, as a pure machine: events in, actions out. It
// knows no clock, thread, socket or disk; src/writer.cpp carries its actions out and tells it what
// came of them.
//
// What it guarantees, whatever the order of events:
// - An object is published only by a PutObject of all bytes or a CompleteMultipartUpload that names
//   every part, after a Commit; never after a failure of any part.
// - Exactly one Finish follows a Commit, and it says `stored` only if B2 confirmed the object.
// - Bytes leave RAM only once B2 acknowledged them in a part, or the shadow has them.
// - An upload is begun anew only while every acknowledged byte is still in RAM.
// - The first failure stays the reason.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/object_store.h"
#include "src/policy.h"

namespace spillway {

// When an event happens, and chance for its back-off.
struct Moment {
  Instant now;
  std::uint64_t random = 0;
};

enum class PartSource : std::uint8_t { ram, base };  // base: copied inside B2 from the old version

struct ReadyPart {
  PartNumber number = 0;
  PartSource source = PartSource::ram;
  std::uint64_t size = 0;
};

namespace event {
// The part's bytes are final for now. Again for a number whose bytes changed since.
struct PartReady {
  ReadyPart part;
};
// Every byte is accepted; `rest` are the parts not announced before. `parts` are what the file
// consists of: 1 to `parts`.
struct Commit {
  PartNumber parts = 1;
  std::vector<ReadyPart> rest;
};
struct PutDone {
  Result<StoredObject> result;
};
struct UploadCreated {
  Result<UploadId> result;
};
struct PartDone {
  PartNumber number = 0;
  Result<Etag> result;
};
struct Completed {
  Result<StoredObject> result;
};
// What HEAD found under the key: the object if it is this upload's own, nothing if it is not.
struct Looked {
  Result<std::optional<StoredObject>> result;
};
// The shadow has (or has not) the bytes that were in RAM.
struct Diverted {
  Result<> result;
};
// The shadow's file is (or is not) durable and visible.
struct ShadowPublished {
  Result<> result;
};
// The time that a WakeAt asked for has come.
struct Wake {};
// The writer gave part 1's memory back; only while it is acknowledged.
struct PartDropped {
  PartNumber number = 0;
};
// No more time: divert what is in RAM.
struct GiveUp {
  Error reason;
};
}  // namespace event

using UploadEvent =
    std::variant<event::PartReady, event::Commit, event::PutDone, event::UploadCreated,
                 event::PartDone, event::Completed, event::Looked, event::Diverted,
                 event::ShadowPublished, event::Wake, event::PartDropped, event::GiveUp>;

namespace action {
struct PutObject {
  bool fresh_connection = false;
};
struct CreateUpload {
  bool fresh_connection = false;
};
struct SendPart {
  UploadId id;
  ReadyPart part;
  bool fresh_connection = false;
};
struct Complete {
  UploadId id;
  std::vector<UploadedPart> parts;
};
struct Look {};
// Best effort, nobody waits for it; the ledger keeps it until it worked.
struct Abort {
  UploadId id;
};
struct WakeAt {
  Instant when;
};
// The part's memory may go.
struct FreePart {
  PartNumber number = 0;
};
// Write every byte that is in RAM to the shadow; later writes go there directly. What B2 keeps in
// the unfinished upload, if anything, is in acknowledged() and upload_id().
struct Divert {};
// Make the shadow's file durable and visible.
struct PublishShadow {};
struct Finish {};  // outcome() is final
}  // namespace action

using UploadAction = std::variant<action::PutObject, action::CreateUpload, action::SendPart,
                                  action::Complete, action::Look, action::Abort, action::WakeAt,
                                  action::FreePart, action::Divert, action::PublishShadow,
                                  action::Finish>;

// What becomes of a file that B2 refuses for good.
enum class OnFailure : std::uint8_t {
  divert,        // to the shadow; split, where B2 holds parts that are no longer in RAM
  divert_whole,  // to the shadow, or fail where that would split it
  fail,          // it is in the shadow already: abort the upload
  fail_keeping_upload,  // the same, but the upload holds the only copy of its parts
};

struct UploadRules {
  RetryRule retry;
  int parts_at_once = 4;
  OnFailure on_failure = OnFailure::divert;
};

enum class UploadOutcome : std::uint8_t { open, stored, diverted, failed };

class Upload {
 public:
  // `refused`: the breaker is open; everything goes to the shadow with this reason, at once.
  Upload(const UploadRules& rules, std::optional<Error> refused);

  // Takes up an unfinished upload: `kept` are the parts that B2 has acknowledged.
  static Upload resumed(const UploadRules& rules, UploadId id,
                        const std::vector<UploadedPart>& kept);

  [[nodiscard]] std::vector<UploadAction> on(const UploadEvent& event, const Moment& moment);

  // --- what the carrier may ask, between events
  [[nodiscard]] UploadOutcome outcome() const { return outcome_; }
  [[nodiscard]] bool is_ended() const;     // no event changes the outcome any more
  [[nodiscard]] bool is_diverted() const;  // bytes go to the shadow from now on
  // The part is being sent, or about to be: its bytes must not change.
  [[nodiscard]] bool is_busy(PartNumber number) const;
  [[nodiscard]] bool is_acknowledged(PartNumber number) const;
  [[nodiscard]] bool has_begun() const;  // something was sent
  [[nodiscard]] const std::optional<UploadId>& upload_id() const { return id_; }
  // Parts that only the unfinished upload has: acknowledged, and no longer in RAM, in the shadow or
  // in the old version.
  [[nodiscard]] std::vector<UploadedPart> kept_parts() const;
  [[nodiscard]] const std::optional<Error>& first_error() const { return first_error_; }
  [[nodiscard]] const std::optional<Error>& shadow_error() const { return shadow_error_; }
  [[nodiscard]] const std::optional<StoredObject>& stored() const { return stored_; }
  [[nodiscard]] int attempts() const { return attempts_; }  // requests that carried bytes
  [[nodiscard]] int failures() const { return failures_; }

 private:
  enum class Phase : std::uint8_t {
    collecting,  // nothing sent yet
    putting,
    creating,
    streaming,
    completing,
    looking,
    giving_up,   // waits for what is under way, then diverts
    diverting,
    undiverted,  // the shadow failed; another Commit tries again
    diverted,    // open in the shadow, waits for Commit
    publishing,  // in the shadow
    finished,
  };
  enum class PartStatus : std::uint8_t { ready, sending, waiting, acknowledged };
  struct Retry {  // of one call, or of one part
    int failures = 0;
    Instant first{};
    Instant due{};
    bool waiting = false;
  };
  struct Part {
    ReadyPart ready;
    PartStatus status = PartStatus::ready;
    bool in_ram = true;
    Etag etag;
    Retry retry;
  };
  using Actions = std::vector<UploadAction>;

  void handle(const event::PartReady& event, const Moment& moment, Actions& actions);
  void handle(const event::Commit& event, const Moment& moment, Actions& actions);
  void handle(const event::PutDone& event, const Moment& moment, Actions& actions);
  void handle(const event::UploadCreated& event, const Moment& moment, Actions& actions);
  void handle(const event::PartDone& event, const Moment& moment, Actions& actions);
  void handle(const event::Completed& event, const Moment& moment, Actions& actions);
  void handle(const event::Looked& event, const Moment& moment, Actions& actions);
  void handle(const event::Diverted& event, const Moment& moment, Actions& actions);
  void handle(const event::ShadowPublished& event, const Moment& moment, Actions& actions);
  void handle(const event::Wake& event, const Moment& moment, Actions& actions);
  void handle(const event::PartDropped& event, const Moment& moment, Actions& actions);
  void handle(const event::GiveUp& event, const Moment& moment, Actions& actions);

  void announce(const ReadyPart& part);
  void start(Actions& actions);
  void advance(Actions& actions);
  void send_parts(Actions& actions);
  void complete_if_ready(Actions& actions);
  void call(Phase phase, Actions& actions);
  // Notes the failure; true when the call is to be made again: then `retry` waits for its Wake.
  bool retry_later(Retry& retry, const Error& error, const Moment& moment, Actions& actions);
  void upload_is_gone(const Error& error, Actions& actions);
  void begin_anew(Actions& actions);
  void give_up(const Error& error, Actions& actions);
  void divert_when_idle(Actions& actions);
  void publish_if_committed(Actions& actions);
  void finish(UploadOutcome outcome, Phase phase, Actions& actions);
  void fail_for_good(const Error& error, Actions& actions);
  void abort_upload(Actions& actions);
  void remember(const Error& error);
  [[nodiscard]] bool all_sendable_again() const;  // nothing needs the upload that was begun
  [[nodiscard]] bool may_divert() const;
  [[nodiscard]] int under_way() const;

  UploadRules rules_;
  Phase phase_ = Phase::collecting;
  UploadOutcome outcome_ = UploadOutcome::open;
  std::map<PartNumber, Part> parts_;
  std::optional<UploadId> id_;
  std::optional<PartNumber> committed_parts_;  // set by Commit
  Retry call_retry_;             // of the Put, Create or Look that the phase names
  Retry complete_retry_;         // of Complete, over the looks in between
  bool call_under_way_ = false;  // that call has been sent and is not answered
  std::optional<Error> gone_;    // NoSuchUpload; the look decides whether that means success
  bool vault_is_busy_ = false;  // a new upload is begun once nothing is under way
  int restarts_ = 0;
  std::optional<Error> first_error_;
  std::optional<Error> shadow_error_;
  std::optional<StoredObject> stored_;
  int attempts_ = 0;
  int failures_ = 0;
};

}  // namespace spillway
