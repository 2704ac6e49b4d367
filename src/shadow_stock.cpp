#include "src/shadow_stock.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "src/shadow_layout.h"

namespace spillway {

using namespace layout;

namespace {

constexpr std::size_t kLargestBatch = 32;

}  // namespace

ShadowStock::ShadowStock(Disk& disk, Executor& executor, DirectorySync& drafts,
                         DirectorySync& journal, std::function<std::string()> new_id)
    : disk_(disk),
      drafts_(drafts),
      journal_(journal),
      new_id_(std::move(new_id)),
      state_(executor) {}

Result<StockFile> ShadowStock::create(const std::string& name, DirectorySync& directory) {
  auto file = TRY(disk_.create(name));
  return StockFile{std::move(file), directory.changed()};
}

Result<StockPair> ShadowStock::make() {
  StockPair pair;
  pair.id = new_id_();
  pair.draft = TRY(create(in(kDrafts, pair.id), drafts_));
  auto record = create(in(kJournal, pair.id), journal_);
  if (!record) {
    (void)disk_.remove(in(kDrafts, pair.id));
    return fail(std::move(record).error());
  }
  pair.record = std::move(record).value();
  return pair;
}

Result<StockPair> ShadowStock::take() {
  std::size_t wanted = 0;
  {
    auto state = state_.lock();
    if (!state->pairs.empty()) {
      auto pair = std::move(state->pairs.back());
      state->pairs.pop_back();
      return pair;
    }
    wanted = state->batch;
    state->batch = std::min(state->batch * 2, kLargestBatch);
  }
  auto first = make();
  if (!first) return first;
  std::vector<StockPair> more;
  while (more.size() + 1 < wanted) {
    auto pair = make();
    if (!pair) break;  // no disaster: it is tried again when it is needed
    more.push_back(std::move(pair).value());
  }
  auto state = state_.lock();
  std::ranges::move(more, std::back_inserter(state->pairs));
  return first;
}

void ShadowStock::clear() {
  std::vector<StockPair> pairs;
  {
    auto state = state_.lock();
    pairs.swap(state->pairs);
    state->batch = 1;
  }
  for (const auto& pair : pairs) {
    (void)disk_.remove(in(kDrafts, pair.id));
    (void)disk_.remove(in(kJournal, pair.id));
  }
}

}  // namespace spillway
