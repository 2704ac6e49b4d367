#include "src/upload.h"

#include <algorithm>
#include <utility>

namespace spillway {
namespace {

// An upload that vanishes this often is given up rather than begun anew.
constexpr int kMostRestarts = 2;
// All parts of an upload lie in one vault of B2's: one that stays busy this often is left for the
// vault of a new upload. Fewer are everyday answers.
constexpr int kBusyVaultTries = 5;

}  // namespace

Upload::Upload(const UploadRules& rules, std::optional<Error> refused) : rules_(rules) {
  if (refused) first_error_ = std::move(refused);
}

Upload Upload::resumed(const UploadRules& rules, UploadId id,
                       const std::vector<UploadedPart>& kept) {
  Upload upload(rules, std::nullopt);
  upload.id_ = std::move(id);
  upload.phase_ = Phase::streaming;
  for (const UploadedPart& part : kept) {
    upload.parts_[part.number] = Part{.ready = {part.number, PartSource::ram, part.size},
                                      .status = PartStatus::acknowledged,
                                      .in_ram = false,
                                      .etag = part.etag,
                                      .retry = {}};
  }
  return upload;
}

std::vector<UploadAction> Upload::on(const UploadEvent& event, const Moment& moment) {
  Actions actions;
  std::visit([&](const auto& what) { handle(what, moment, actions); }, event);
  return actions;
}

// --- questions

bool Upload::is_ended() const { return phase_ == Phase::finished; }

bool Upload::is_diverted() const {
  return phase_ == Phase::diverted || phase_ == Phase::publishing ||
         outcome_ == UploadOutcome::diverted;
}

bool Upload::is_busy(PartNumber number) const {
  if (is_ended() || is_diverted() || phase_ == Phase::undiverted) return false;
  if (phase_ == Phase::putting || phase_ == Phase::diverting) return true;
  const auto found = parts_.find(number);
  return found != parts_.end() && found->second.status != PartStatus::acknowledged;
}

bool Upload::is_acknowledged(PartNumber number) const {
  const auto found = parts_.find(number);
  return found != parts_.end() && found->second.status == PartStatus::acknowledged;
}

bool Upload::has_begun() const {
  return id_.has_value() || call_under_way_ || !parts_.empty();
}

std::vector<UploadedPart> Upload::kept_parts() const {
  std::vector<UploadedPart> kept;
  for (const auto& [number, part] : parts_) {
    const bool is_elsewhere = part.in_ram || part.ready.source == PartSource::base;
    if (part.status != PartStatus::acknowledged || is_elsewhere) continue;
    kept.push_back({number, part.etag, part.ready.size});
  }
  return kept;
}

bool Upload::may_divert() const {
  return rules_.on_failure == OnFailure::divert ||
         (rules_.on_failure == OnFailure::divert_whole && all_sendable_again());
}

bool Upload::all_sendable_again() const { return kept_parts().empty(); }

int Upload::under_way() const {
  const auto sending = std::ranges::count_if(
      parts_, [](const auto& entry) { return entry.second.status == PartStatus::sending; });
  return static_cast<int>(sending) + (call_under_way_ ? 1 : 0);
}

// --- events

void Upload::handle(const event::PartReady& event, const Moment&, Actions& actions) {
  if (is_ended() || is_diverted()) return;
  announce(event.part);
  start(actions);
}

void Upload::handle(const event::Commit& event, const Moment&, Actions& actions) {
  if (is_ended()) return finish(outcome_, phase_, actions);
  outcome_ = UploadOutcome::open;
  committed_parts_ = event.parts;
  if (phase_ == Phase::diverted) return publish_if_committed(actions);
  if (phase_ == Phase::diverting) return;
  std::erase_if(parts_, [&](const auto& entry) {
    return entry.first > event.parts && entry.second.status != PartStatus::sending;
  });
  for (const ReadyPart& part : event.rest) announce(part);
  if (phase_ == Phase::undiverted) {
    phase_ = Phase::giving_up;
    return divert_when_idle(actions);
  }
  start(actions);
}

void Upload::handle(const event::PutDone& event, const Moment& moment, Actions& actions) {
  call_under_way_ = false;
  if (event.result.ok()) {
    stored_ = event.result.value();
    return finish(UploadOutcome::stored, Phase::finished, actions);
  }
  const Error& error = event.result.error();
  if (phase_ == Phase::giving_up) return divert_when_idle(actions);
  if (retry_later(call_retry_, error, moment, actions)) return;
  give_up(error, actions);
}

void Upload::handle(const event::UploadCreated& event, const Moment& moment, Actions& actions) {
  call_under_way_ = false;
  if (event.result.ok()) {
    id_ = event.result.value();
    call_retry_ = {};
    if (phase_ == Phase::giving_up) return divert_when_idle(actions);
    phase_ = Phase::streaming;
    return advance(actions);
  }
  if (phase_ == Phase::giving_up) return divert_when_idle(actions);
  if (retry_later(call_retry_, event.result.error(), moment, actions)) return;
  give_up(event.result.error(), actions);
}

void Upload::handle(const event::PartDone& event, const Moment& moment, Actions& actions) {
  const auto found = parts_.find(event.number);
  if (found == parts_.end() || found->second.status != PartStatus::sending) return;
  Part& part = found->second;
  if (event.result.ok()) {
    part.status = PartStatus::acknowledged;
    part.etag = event.result.value();
    part.retry = {};
    // Headers are rewritten last: part 1 stays until the commit.
    if (event.number != 1 && part.in_ram) {
      part.in_ram = false;
      actions.push_back(action::FreePart{event.number});
    }
    if (is_ended()) return;
    if (phase_ == Phase::giving_up) return divert_when_idle(actions);
    return gone_ ? upload_is_gone(*gone_, actions) : advance(actions);
  }
  const Error& error = event.result.error();
  part.status = PartStatus::ready;
  if (is_ended()) return;
  if (phase_ == Phase::giving_up) return divert_when_idle(actions);
  if (gone_ || error.cause == Cause::upload_gone) return upload_is_gone(error, actions);
  if (retry_later(part.retry, error, moment, actions)) {
    part.status = PartStatus::waiting;
    vault_is_busy_ |= error.code == ErrorCode::server_error &&
                      part.retry.failures >= kBusyVaultTries && restarts_ < kMostRestarts;
    return;
  }
  give_up(error, actions);
}

void Upload::handle(const event::Completed& event, const Moment& moment, Actions& actions) {
  call_under_way_ = false;
  if (event.result.ok()) {
    stored_ = event.result.value();
    return finish(UploadOutcome::stored, Phase::finished, actions);
  }
  const Error& error = event.result.error();
  const bool given_up = phase_ == Phase::giving_up;
  // No answer does not mean that it failed, and "no such upload" may mean that an earlier Complete
  // succeeded: only a look can tell.
  if (error.cause == Cause::upload_gone || error.cause == Cause::ambiguous) {
    if (error.cause == Cause::upload_gone) gone_ = error;
    remember(error);
    if (given_up && error.cause == Cause::ambiguous) return divert_when_idle(actions);
    return call(Phase::looking, actions);
  }
  if (given_up) return divert_when_idle(actions);
  if (retry_later(complete_retry_, error, moment, actions)) return;
  give_up(error, actions);
}

void Upload::handle(const event::Looked& event, const Moment& moment, Actions& actions) {
  call_under_way_ = false;
  if (!event.result.ok()) {
    if (phase_ == Phase::giving_up) return divert_when_idle(actions);
    if (retry_later(call_retry_, event.result.error(), moment, actions)) return;
    return give_up(event.result.error(), actions);
  }
  if (event.result.value()) {
    stored_ = *event.result.value();
    return finish(UploadOutcome::stored, Phase::finished, actions);
  }
  if (gone_) return upload_is_gone(*gone_, actions);
  if (phase_ == Phase::giving_up) return divert_when_idle(actions);
  // Complete did not happen: the same call again, counted as a failure of it.
  phase_ = Phase::completing;
  const Error error = first_error_.value_or(Error{});
  if (retry_later(complete_retry_, error, moment, actions)) return;
  give_up(error, actions);
}

void Upload::handle(const event::Diverted& event, const Moment&, Actions& actions) {
  if (phase_ != Phase::diverting) return;
  if (!event.result.ok()) {
    shadow_error_ = event.result.error();
    return finish(UploadOutcome::failed, Phase::undiverted, actions);
  }
  phase_ = Phase::diverted;
  for (auto& [number, part] : parts_) {
    if (part.status != PartStatus::acknowledged) part.in_ram = false;
  }
  publish_if_committed(actions);
}

void Upload::handle(const event::ShadowPublished& event, const Moment&, Actions& actions) {
  if (phase_ != Phase::publishing) return;
  if (event.result.ok()) return finish(UploadOutcome::diverted, Phase::finished, actions);
  shadow_error_ = event.result.error();
  finish(UploadOutcome::failed, Phase::diverted, actions);
}

void Upload::handle(const event::Wake&, const Moment& moment, Actions& actions) {
  if (is_ended()) return;
  for (Retry* retry : {&call_retry_, &complete_retry_}) {
    if (!retry->waiting || retry->due > moment.now) continue;
    retry->waiting = false;
    call(phase_, actions);
  }
  for (auto& [number, part] : parts_) {
    if (part.status == PartStatus::waiting && part.retry.due <= moment.now) {
      part.status = PartStatus::ready;
      part.retry.waiting = false;
    }
  }
  if (phase_ == Phase::streaming) advance(actions);
}

void Upload::handle(const event::PartDropped& event, const Moment&, Actions&) {
  const auto found = parts_.find(event.number);
  if (found != parts_.end() && found->second.status == PartStatus::acknowledged) {
    found->second.in_ram = false;
  }
}

void Upload::handle(const event::GiveUp& event, const Moment&, Actions& actions) {
  const bool too_late = is_ended() || is_diverted() || phase_ == Phase::diverting ||
                        phase_ == Phase::giving_up || phase_ == Phase::undiverted;
  if (!too_late) give_up(event.reason, actions);
}

// --- steps

void Upload::announce(const ReadyPart& part) {
  Part& known = parts_[part.number];
  if (known.status == PartStatus::sending) return;  // the carrier waits before it changes bytes
  known = Part{.ready = part,
               .status = PartStatus::ready,
               .in_ram = part.source == PartSource::ram,
               .etag = {},
               .retry = {}};
}

// Something is there to be sent: begin, or go on.
void Upload::start(Actions& actions) {
  if (phase_ == Phase::streaming) return advance(actions);
  if (phase_ != Phase::collecting) return;
  if (first_error_) {  // refused by the breaker
    phase_ = Phase::giving_up;
    return divert_when_idle(actions);
  }
  const bool small = committed_parts_ == 1 && parts_.size() == 1 &&
                     parts_.begin()->second.ready.source == PartSource::ram;
  if (small) return call(Phase::putting, actions);
  call(Phase::creating, actions);
}

void Upload::advance(Actions& actions) {
  if (vault_is_busy_ && under_way() > 0) return;
  if (std::exchange(vault_is_busy_, false) && all_sendable_again()) {
    abort_upload(actions);
    return begin_anew(actions);
  }
  send_parts(actions);
  complete_if_ready(actions);
}

void Upload::send_parts(Actions& actions) {
  if (gone_) return;
  int busy = under_way();
  for (auto& [number, part] : parts_) {
    if (busy >= rules_.parts_at_once) return;
    if (part.status != PartStatus::ready) continue;
    part.status = PartStatus::sending;
    ++attempts_;
    ++busy;
    actions.push_back(action::SendPart{*id_, part.ready, part.retry.failures > 0});
  }
}

void Upload::complete_if_ready(Actions& actions) {
  if (!committed_parts_ || phase_ != Phase::streaming || under_way() > 0) return;
  for (PartNumber number = 1; number <= *committed_parts_; ++number) {
    if (!is_acknowledged(number)) return;
  }
  call(Phase::completing, actions);
}

// Makes the call that `phase` stands for.
void Upload::call(Phase phase, Actions& actions) {
  if (phase != phase_) call_retry_ = {};
  phase_ = phase;
  call_under_way_ = true;
  const bool fresh = call_retry_.failures > 0;
  if (phase == Phase::putting) {
    ++attempts_;
    actions.push_back(action::PutObject{fresh});
  } else if (phase == Phase::creating) {
    actions.push_back(action::CreateUpload{fresh});
  } else if (phase == Phase::looking) {
    actions.push_back(action::Look{});
  } else {
    std::vector<UploadedPart> parts;
    for (PartNumber number = 1; number <= *committed_parts_; ++number) {
      parts.push_back({number, parts_[number].etag, parts_[number].ready.size});
    }
    actions.push_back(action::Complete{*id_, std::move(parts)});
  }
}

bool Upload::retry_later(Retry& retry, const Error& error, const Moment& moment,
                         Actions& actions) {
  remember(error);
  if (retry.failures == 0) retry.first = moment.now;
  ++retry.failures;
  const RetryDecision decision = decide(
      rules_.retry, error, {retry.failures, moment.now - retry.first}, moment.random);
  if (!decision.retry) return false;
  retry.waiting = true;
  retry.due = moment.now + decision.after;
  actions.push_back(action::WakeAt{retry.due});
  return true;
}

void Upload::upload_is_gone(const Error& error, Actions& actions) {
  remember(error);
  gone_ = error;
  if (under_way() > 0) return;  // the other parts' answers come first
  if (!all_sendable_again() || restarts_ >= kMostRestarts) return fail_for_good(*gone_, actions);
  gone_.reset();
  id_.reset();
  begin_anew(actions);
}

// The parts' failures still count: a new upload is no new time for retries.
void Upload::begin_anew(Actions& actions) {
  ++restarts_;
  for (auto& [number, part] : parts_) part.status = PartStatus::ready;
  call(Phase::creating, actions);
}

void Upload::give_up(const Error& error, Actions& actions) {
  remember(error);
  first_error_ = error;  // the last word of B2 on it is the one that decided
  call_retry_.waiting = complete_retry_.waiting = false;
  for (auto& [number, part] : parts_) {
    if (part.status == PartStatus::waiting) part.status = PartStatus::ready;
  }
  phase_ = Phase::giving_up;
  divert_when_idle(actions);
}

void Upload::divert_when_idle(Actions& actions) {
  if (under_way() > 0) return;
  const Error reason = first_error_.value_or(Error{});
  const bool head_is_lost =
      reason.cause == Cause::upload_gone || reason.code == ErrorCode::bucket_not_found;
  const bool needs_upload = !all_sendable_again();
  if (!may_divert() || (head_is_lost && needs_upload)) return fail_for_good(reason, actions);
  if (!needs_upload) {
    abort_upload(actions);
    for (auto& [number, part] : parts_) part.status = PartStatus::ready;
  }
  phase_ = Phase::diverting;
  actions.push_back(action::Divert{});
}

void Upload::publish_if_committed(Actions& actions) {
  if (!committed_parts_) return;
  phase_ = Phase::publishing;
  actions.push_back(action::PublishShadow{});
}

void Upload::finish(UploadOutcome outcome, Phase phase, Actions& actions) {
  outcome_ = outcome;
  phase_ = phase;
  if (phase != Phase::finished) committed_parts_.reset();
  actions.emplace_back(action::Finish{});
}

void Upload::fail_for_good(const Error& error, Actions& actions) {
  remember(error);
  abort_upload(actions);
  finish(UploadOutcome::failed, Phase::finished, actions);
}

void Upload::abort_upload(Actions& actions) {
  if (!id_ || rules_.on_failure == OnFailure::fail_keeping_upload) return;
  actions.push_back(action::Abort{*id_});
  id_.reset();
}

void Upload::remember(const Error& error) {
  ++failures_;
  if (!first_error_) first_error_ = error;
}

}  // namespace spillway
