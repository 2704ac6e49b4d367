// The upload machine alone, against a world that fails, delays and reorders at random. No clock, no
// thread: tens of thousands of uploads a second. A failure names its seed; SPILLWAY_SEED=N replays it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "src/upload.h"

namespace spillway {
namespace {

using std::chrono::milliseconds;

// What a part holds, as a number: it changes when the part is written again.
using Content = int;

class World {
 public:
  explicit World(std::uint64_t seed)
      : random_(seed), fault_percent_(below(4) == 0 ? 0 : below(60)), upload_(rules(), refused()) {}

  // Writes, commits, and runs until nothing is left to happen.
  void run() {
    const auto parts = static_cast<PartNumber>(1 + below(6));
    for (PartNumber number = 1; number < parts && !over(); ++number) {
      fill(number);
      while (below(2) == 0 && step()) {
      }
    }
    if (parts > 1 && below(3) == 0 && !upload_.is_busy(1) && in_ram_.contains(1)) newest_[1] += 100;
    commit(parts);
    while (step()) {
    }
    check_outcome(parts);
    // A flush that the shadow refused is tried again.
    for (int again = 0; again < 2 && upload_.outcome() == UploadOutcome::failed; ++again) {
      commit(parts);
      while (step()) {
      }
      check_outcome(parts);
    }
  }

 private:
  struct Pending {
    UploadAction action;
    std::map<PartNumber, Content> bytes;  // as they were when the action was given
  };

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool fails() { return below(100) < fault_percent_; }
  bool over() const { return upload_.is_ended() || upload_.is_diverted(); }

  UploadRules rules() {
    UploadRules rules;
    rules.retry.retry_for = below(3) == 0 ? Duration::zero() : Duration(std::chrono::seconds(10));
    rules.on_failure = below(4) == 0 ? OnFailure::divert_whole : OnFailure::divert;
    rules.parts_at_once = static_cast<int>(1 + below(4));
    on_failure_ = rules.on_failure;
    return rules;
  }
  std::optional<Error> refused() {
    if (below(8) != 0) return std::nullopt;
    return Error{.code = ErrorCode::network_error, .detail = "breaker", .request_id = {},
                 .retry_after = {}};
  }

  Error random_error() {
    constexpr ErrorCode kCodes[] = {ErrorCode::auth_error,   ErrorCode::timeout,
                                    ErrorCode::network_error, ErrorCode::rate_limited,
                                    ErrorCode::server_error,  ErrorCode::cap_exceeded,
                                    ErrorCode::clock_skew,    ErrorCode::checksum_mismatch,
                                    ErrorCode::invalid_request};
    Error error;
    error.code = kCodes[below(std::size(kCodes))];
    return error;
  }

  void fill(PartNumber number) {
    newest_[number] = static_cast<Content>(number);
    in_ram_.insert(number);
    feed(event::PartReady{{number, PartSource::ram, 10}});
  }

  void commit(PartNumber parts) {
    event::Commit commit;
    commit.parts = parts;
    if (!newest_.contains(parts)) {  // the last part's bytes wait for their turn as all others do
      while (upload_.is_busy(parts) && step()) {
      }
    }
    if (!over()) {
      for (PartNumber number = 1; number <= parts; ++number) {
        if (upload_.is_busy(number)) continue;
        if (upload_.is_acknowledged(number) && sent_[number] == newest_of(number)) continue;
        in_ram_.insert(number);
        commit.rest.push_back({number, PartSource::ram, 10});
      }
    }
    if (upload_.is_diverted()) write_rest_to_draft(parts);
    finishes_ = 0;
    feed(commit);
  }
  // Once diverted, what is written goes to the shadow directly.
  void write_rest_to_draft(PartNumber parts) {
    std::set<PartNumber> kept;
    for (const UploadedPart& part : upload_.kept_parts()) kept.insert(part.number);
    for (PartNumber number = 1; number <= parts; ++number) {
      if (!kept.contains(number)) draft_[number] = newest_of(number);
    }
  }
  Content newest_of(PartNumber number) {
    return newest_.try_emplace(number, static_cast<Content>(number)).first->second;
  }

  void feed(const UploadEvent& event) {
    for (UploadAction& action : upload_.on(event, {now_, random_()})) take(std::move(action));
  }

  void take(UploadAction action) {
    if (std::holds_alternative<action::Finish>(action)) {
      ++finishes_;
      ASSERT_LE(finishes_, 1) << "finished twice";
    } else if (const auto* wake = std::get_if<action::WakeAt>(&action)) {
      wakes_.insert(wake->when);
    } else if (const auto* free = std::get_if<action::FreePart>(&action)) {
      ASSERT_TRUE(upload_.is_acknowledged(free->number)) << "freed before it was acknowledged";
      in_ram_.erase(free->number);
    } else if (const auto* abort = std::get_if<action::Abort>(&action)) {
      uploads_.erase(abort->id);
    } else {
      pending_.push_back({std::move(action), newest_});
      for (const PartNumber number : in_ram_) pending_.back().bytes.try_emplace(number, number);
    }
  }

  // One thing happens. false: nothing is left that could.
  bool step() {
    if (pending_.empty() && wakes_.empty()) return false;
    if (pending_.empty() || (!wakes_.empty() && below(4) == 0)) {
      now_ = std::max(now_, *wakes_.begin());
      wakes_.erase(wakes_.begin());
      feed(event::Wake{});
      return true;
    }
    now_ += milliseconds(below(2'000));
    if (below(20) == 0) uploads_.clear();  // a lifecycle rule takes what is unfinished
    if (below(60) == 0) feed(event::GiveUp{random_error()});
    if (pending_.empty()) return true;
    const std::size_t chosen = below(pending_.size());
    const Pending pending = pending_[chosen];
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(chosen));
    std::visit([&](const auto& action) { answer(action, pending); }, pending.action);
    return true;
  }

  // A call is carried out, refused, or carried out without anybody hearing of it.
  template <class T>
  Result<T> outcome(const std::function<Result<T>()>& carry_out) {
    if (!fails()) return carry_out();
    if (below(3) != 0) return fail(random_error());
    if (below(2) == 0) static_cast<void>(carry_out());
    Error lost;
    lost.code = ErrorCode::timeout;
    lost.cause = Cause::ambiguous;
    return fail(lost);
  }

  void answer(const action::PutObject&, const Pending& pending) {
    feed(event::PutDone{outcome<StoredObject>([&]() -> Result<StoredObject> {
      published_ = std::map<PartNumber, Content>{{1, pending.bytes.at(1)}};
      return StoredObject{};
    })});
  }
  void answer(const action::CreateUpload&, const Pending&) {
    feed(event::UploadCreated{outcome<UploadId>([&]() -> Result<UploadId> {
      const UploadId id = std::to_string(++ids_);
      uploads_[id] = {};
      return id;
    })});
  }
  static Error gone() {
    Error error;
    error.code = ErrorCode::not_found;
    error.cause = Cause::upload_gone;
    return error;
  }
  void answer(const action::SendPart& send, const Pending& pending) {
    const PartNumber number = send.part.number;
    auto result = outcome<Etag>([&]() -> Result<Etag> {
      if (!uploads_.contains(send.id)) return fail(gone());
      uploads_[send.id][number] = pending.bytes.at(number);
      return "etag" + std::to_string(pending.bytes.at(number));
    });
    if (result.ok()) sent_[number] = pending.bytes.at(number);
    feed(event::PartDone{number, std::move(result)});
  }
  void answer(const action::Complete& complete, const Pending&) {
    feed(event::Completed{outcome<StoredObject>([&]() -> Result<StoredObject> {
      const auto found = uploads_.find(complete.id);
      if (found == uploads_.end()) return fail(gone());
      std::map<PartNumber, Content> object;
      for (const UploadedPart& part : complete.parts) {
        EXPECT_TRUE(found->second.contains(part.number)) << "completed a part that was never sent";
        object[part.number] = found->second[part.number];
      }
      published_ = object;
      uploads_.erase(found);
      return StoredObject{};
    })});
  }
  void answer(const action::Look&, const Pending&) {
    if (fails()) return feed(event::Looked{fail(random_error())});
    const bool is_there = published_.has_value();
    feed(event::Looked{is_there ? std::optional(StoredObject{}) : std::nullopt});
  }
  void answer(const action::Divert&, const Pending&) {
    if (fails() && below(3) == 0) {
      return feed(event::Diverted{fail(ErrorCode::local_error, "shadow full")});
    }
    draft_.clear();
    for (const PartNumber number : in_ram_) draft_[number] = newest_of(number);
    in_ram_.clear();
    feed(event::Diverted{{}});
  }
  void answer(const action::PublishShadow&, const Pending&) {
    if (fails() && below(3) == 0) {
      return feed(event::ShadowPublished{fail(ErrorCode::local_error, "shadow full")});
    }
    shadow_ = draft_;
    feed(event::ShadowPublished{{}});
  }
  void answer(const action::WakeAt&, const Pending&) {}
  void answer(const action::Finish&, const Pending&) {}
  void answer(const action::FreePart&, const Pending&) {}
  void answer(const action::Abort&, const Pending&) {}

  void check_outcome(PartNumber parts) {
    ASSERT_EQ(finishes_, 1) << "a commit without its one Finish";
    ASSERT_NE(upload_.outcome(), UploadOutcome::open);
    if (published_) {
      ASSERT_EQ(published_->size(), static_cast<std::size_t>(parts)) << "a short object";
      for (const auto& [number, content] : *published_) ASSERT_EQ(content, newest_of(number));
    }
    if (upload_.outcome() == UploadOutcome::stored) {
      ASSERT_TRUE(published_) << "called stored and is not";
      return;
    }
    ASSERT_TRUE(upload_.first_error()) << "no reason";
    if (upload_.outcome() == UploadOutcome::diverted) check_diverted(parts);
  }

  void check_diverted(PartNumber parts) {
    ASSERT_TRUE(shadow_) << "called diverted and is not durable";
    std::set<PartNumber> kept;
    for (const UploadedPart& part : upload_.kept_parts()) kept.insert(part.number);
    if (on_failure_ != OnFailure::divert) {
      ASSERT_TRUE(kept.empty()) << "split against the rule";
    }
    if (!kept.empty()) {
      ASSERT_TRUE(upload_.upload_id());
    }
    for (PartNumber number = 1; number <= parts; ++number) {
      if (kept.contains(number)) continue;
      ASSERT_TRUE(shadow_->contains(number)) << "part " << number << " is nowhere";
      ASSERT_EQ(shadow_->at(number), newest_of(number));
    }
  }

  std::mt19937_64 random_;
  std::uint64_t fault_percent_;
  OnFailure on_failure_ = OnFailure::divert;
  Upload upload_;
  Instant now_{};
  std::vector<Pending> pending_;
  std::multiset<Instant> wakes_;
  std::map<PartNumber, Content> newest_;
  std::map<PartNumber, Content> sent_;
  std::set<PartNumber> in_ram_;
  std::map<UploadId, std::map<PartNumber, Content>> uploads_;
  std::optional<std::map<PartNumber, Content>> published_;
  std::map<PartNumber, Content> draft_;
  std::optional<std::map<PartNumber, Content>> shadow_;
  int ids_ = 0;
  int finishes_ = 0;
};

TEST(UploadMachine, HoldsItsPromisesWhateverFails) {
  const char* replay = std::getenv("SPILLWAY_SEED");
  const char* runs = std::getenv("SPILLWAY_RUNS");
  const std::uint64_t first = replay != nullptr ? std::strtoull(replay, nullptr, 10) : 1;
  const std::uint64_t count =
      replay != nullptr ? 1 : (runs != nullptr ? std::strtoull(runs, nullptr, 10) : 50'000);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("SPILLWAY_SEED=" + std::to_string(seed));
    World(seed).run();
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

}  // namespace
}  // namespace spillway
