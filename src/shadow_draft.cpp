#include "src/shadow_draft.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <limits>

#include "src/shadow_layout.h"

namespace spillway {

LocalDraft::LocalDraft(Disk& disk, ShadowSpace& space, DirectorySync& directory, StockPair files)
    : disk_(disk),
      space_(space),
      directory_(directory),
      id_(std::move(files.id)),
      file_(std::move(files.draft.file)),
      named_(files.draft.named),
      record_(std::move(files.record)) {}

LocalDraft::~LocalDraft() {
  if (published_) return;
  if (!distrusted_) (void)disk_.remove(layout::in(layout::kDrafts, id_));
  if (record_.file != nullptr) (void)disk_.remove(layout::in(layout::kJournal, id_));
  space_.give_back(charged_);
}

Result<> LocalDraft::check_unpublished() const {
  if (published_) return fail(ErrorCode::bad_handle, "the draft was published already");
  return {};
}

Result<> LocalDraft::check_changeable() const {
  TRY(check_unpublished());
  if (distrusted_) return fail_errno(EIO, "the draft could not be published and is frozen");
  return {};
}

Result<> LocalDraft::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  TRY(check_changeable());
  if (bytes.empty()) return {};
  if (bytes.size() > std::numeric_limits<std::uint64_t>::max() - offset) {
    return fail_errno(EFBIG, "write to a draft");
  }
  const std::uint64_t end = offset + bytes.size();
  const std::uint64_t more = uncovered(offset, end);
  TRY(space_.take(more));
  if (auto written = file_->write_at(offset, bytes); !written) {
    space_.give_back(more);
    return written;
  }
  charged_ += more;
  cover(offset, end);
  return {};
}

Result<std::size_t> LocalDraft::read(std::uint64_t offset, std::span<std::byte> bytes) {
  return file_->read_at(offset, bytes);
}

Result<> LocalDraft::truncate(std::uint64_t size) {
  TRY(check_changeable());
  TRY(file_->truncate(size));
  uncover_from(size);
  return {};
}

Result<> LocalDraft::sync() {
  TRY(file_->sync());
  if (!named_) return {};
  auto named = directory_.make_durable(*named_);
  named_.reset();
  if (!named) named_ = directory_.changed();
  return named;
}

void LocalDraft::published() { published_ = true; }

void LocalDraft::set_aside() {
  published_ = true;
  if (record_.file != nullptr) (void)disk_.remove(layout::in(layout::kJournal, id_));
  space_.give_back(charged_);
}

std::uint64_t LocalDraft::uncovered(std::uint64_t from, std::uint64_t to) const {
  std::uint64_t bytes = to - from;
  auto extent = covered_.upper_bound(from);
  if (extent != covered_.begin()) --extent;
  for (; extent != covered_.end() && extent->first < to; ++extent) {
    const std::uint64_t start = std::max(from, extent->first);
    const std::uint64_t end = std::min(to, extent->second);
    if (start < end) bytes -= end - start;
  }
  return bytes;
}

void LocalDraft::cover(std::uint64_t from, std::uint64_t to) {
  auto extent = covered_.upper_bound(from);
  if (extent != covered_.begin() && std::prev(extent)->second >= from) --extent;
  while (extent != covered_.end() && extent->first <= to) {
    from = std::min(from, extent->first);
    to = std::max(to, extent->second);
    extent = covered_.erase(extent);
  }
  covered_.emplace(from, to);
}

void LocalDraft::uncover_from(std::uint64_t offset) {
  std::uint64_t freed = 0;
  while (!covered_.empty() && covered_.rbegin()->second > offset) {
    const auto last = std::prev(covered_.end());
    freed += last->second - std::max(last->first, offset);
    if (last->first >= offset) {
      covered_.erase(last);
    } else {
      last->second = offset;
    }
  }
  charged_ -= freed;
  space_.give_back(freed);
}

}  // namespace spillway
