#include "src/shadow_space.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>

namespace spillway {
namespace {

constexpr std::uint64_t kAskEvery = 8ULL << 20U;

std::unexpected<Error> no_space(std::string detail) {
  Error error;
  error.code = ErrorCode::local_error;
  error.system_errno = ENOSPC;
  error.detail = std::move(detail);
  return fail(std::move(error));
}

}  // namespace

Result<> ShadowSpace::check_limit(const State& state, std::uint64_t bytes) const {
  if (limit_ == 0 || (bytes <= limit_ && state.taken <= limit_ - bytes)) return {};
  return no_space(fmt::format(
      "--shadow-limit of {} bytes is reached in {} ({} bytes in use, {} more wanted)", limit_,
      disk_.absolute(""), state.taken, bytes));
}

// Near the reserve the credit gets small, so the disk is asked more often there.
Result<> ShadowSpace::renew_credit(Guarded<State>::Locked& state, std::uint64_t bytes) {
  const auto space = TRY(state.unlocked([this] { return disk_.space(); }));
  if (space.available < reserve_ || space.available - reserve_ < bytes) {
    return no_space(fmt::format(
        "--shadow-reserve: the disk of {} has {} bytes free, and {} of them are kept free",
        disk_.absolute(""), space.available, reserve_));
  }
  state->credit = std::max(bytes, std::min(kAskEvery, space.available - reserve_));
  return {};
}

Result<> ShadowSpace::take(std::uint64_t bytes) {
  if (bytes == 0) return {};
  auto state = state_.lock();
  TRY(check_limit(*state, bytes));
  while (state->credit < bytes) TRY(renew_credit(state, bytes));
  TRY(check_limit(*state, bytes));  // others may have been faster while the disk was asked
  state->credit -= bytes;
  state->taken += bytes;
  return {};
}

Result<> ShadowSpace::take_within_limit(std::uint64_t bytes) {
  auto state = state_.lock();
  TRY(check_limit(*state, bytes));
  state->taken += bytes;
  return {};
}

void ShadowSpace::count(std::uint64_t bytes) { state_.lock()->taken += bytes; }

void ShadowSpace::give_back(std::uint64_t bytes) {
  auto state = state_.lock();
  state->taken -= std::min(bytes, state->taken);
}

std::uint64_t ShadowSpace::taken() { return state_.lock()->taken; }

}  // namespace spillway
