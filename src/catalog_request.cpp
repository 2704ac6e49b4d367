#include "src/catalog_request.h"

#include <algorithm>
#include <utility>

namespace spillway {
namespace {

// What a single look-up may cost in a directory never seen before.
constexpr int kFewPages = 4;

Result<Listing> fetch_page(Requests& requests, const ListRequest& request) {
  return requests.read([&](ObjectStore& store, const CallOptions& options) {
    return store.list_objects(request, options);
  });
}

VersionIdentity identity_of(const ObjectInfo& info) {
  return {.size = info.size,
          .etag = info.etag,
          .modified = info.last_modified,
          .source = VersionIdentity::Source::listing};
}

// Sorts one page into rows.
class Sorter {
 public:
  Sorter(const Path& directory, const ListPosition& from, FetchedRows& fetched)
      : directory_(directory),
        prefix_(directory.prefix()),
        fetched_(fetched),
        last_(prefix_ + from.after) {
    fetched_.rows.files = from.undecided;
  }

  void add(const Listing& page) {
    for (const auto& object : page.objects) add_object(object);
    for (const auto& prefix : page.prefixes) add_directory(prefix);
    if (!page.objects.empty()) last_ = std::max(last_, page.objects.back().key);
    if (!page.prefixes.empty()) last_ = std::max(last_, page.prefixes.back());
  }
  // Where the listing goes on after the last page: files that a later key may make a directory wait.
  [[nodiscard]] ListPosition take_position(std::string token) {
    ListPosition position;
    position.token = std::move(token);
    position.after = last_.substr(prefix_.size());
    std::erase_if(fetched_.rows.files, [&](ListedFile& file) {
      const bool waits = position.is_before(file.name);
      if (waits) position.undecided.push_back(std::move(file));
      return waits;
    });
    return position;
  }

 private:
  void add_object(const ObjectInfo& object) {
    if (object.key == prefix_) {
      fetched_.rows.marker = identity_of(object);
    } else if (auto name = name_in(object.key)) {
      fetched_.rows.files.push_back({.name = *std::move(name), .version = identity_of(object)});
    } else {
      fetched_.hidden.push_back(object.key);
    }
  }
  void add_directory(const std::string& prefix) {
    if (auto name = name_in(prefix.substr(0, prefix.size() - 1))) {
      fetched_.rows.directories.push_back(*std::move(name));
    } else {
      fetched_.hidden.push_back(prefix);
    }
  }
  [[nodiscard]] std::optional<std::string> name_in(const std::string& key) const {
    if (!key.starts_with(prefix_)) return std::nullopt;
    auto name = key.substr(prefix_.size());
    if (!directory_.child(name)) return std::nullopt;
    return name;
  }

  const Path& directory_;
  const std::string prefix_;
  FetchedRows& fetched_;
  Key last_;
};

}  // namespace

FetchedRows fetch_rows(Requests& requests, const Path& directory, ListPurpose purpose,
                       const ListPosition& from, std::size_t most_names) {
  FetchedRows fetched;
  fetched.rows.extent = DirectoryRows::Extent::partial;
  Sorter sorter(directory, from, fetched);
  ListRequest request{.prefix = directory.prefix(),
                      .delimiter = "/",
                      .continuation_token = from.token,
                      .start_after = {}};
  for (int pages = 1;; ++pages) {
    auto page = fetch_page(requests, request);
    if (!page.ok()) {
      fetched.error = std::move(page).error();
      break;
    }
    sorter.add(*page);
    fetched.rows.is_large = pages > kFewPages || (pages == kFewPages && !page->next_token.empty());
    if (page->next_token.empty()) {
      if (from.is_start()) fetched.rows.extent = DirectoryRows::Extent::complete;
      break;
    }
    const std::size_t names = fetched.rows.files.size() + fetched.rows.directories.size();
    const bool is_enough = purpose == ListPurpose::look_up ? fetched.rows.is_large
                                                           : names >= most_names;
    if (is_enough) {
      if (purpose == ListPurpose::read) fetched.next = sorter.take_position(page->next_token);
      break;
    }
    request.continuation_token = page->next_token;
  }
  fetched.rows.hidden_keys = fetched.hidden.size();
  return fetched;
}

// Keys that begin with the path come in the order of their bytes: the file itself is the first, and
// only names like "path-1" and "path.txt" may come between it and "path/".
Result<PointAnswer> fetch_point(Requests& requests, const Path& path) {
  const auto first_key = [&](const std::string& prefix) -> Result<std::optional<ObjectInfo>> {
    ListRequest request{.prefix = prefix,
                        .delimiter = {},
                        .continuation_token = {},
                        .start_after = {},
                        .max_keys = 1};
    auto page = TRY(fetch_page(requests, request));
    if (page.objects.empty()) return std::nullopt;
    return std::move(page.objects.front());
  };
  PointAnswer answer;
  const auto first = TRY(first_key(path.text()));
  if (!first) return answer;
  if (first->key == path.text()) answer.file = identity_of(*first);
  if (first->key.starts_with(path.prefix())) {
    answer.is_directory = true;
  } else {
    answer.is_directory = TRY(first_key(path.prefix())).has_value();
  }
  return answer;
}

Result<std::optional<ObjectInfo>> fetch_head(Requests& requests, const Key& key) {
  auto info = requests.read([&](ObjectStore& store, const CallOptions& options) {
    return store.head_object(key, {}, options);
  });
  if (info.ok()) return std::optional(*std::move(info));
  if (info.error().code == ErrorCode::not_found) return std::optional<ObjectInfo>();
  return fail(std::move(info).error());
}

Result<FirstKeys> fetch_first_keys(Requests& requests, const Path& directory) {
  ListRequest request{.prefix = directory.prefix(),
                      .delimiter = {},
                      .continuation_token = {},
                      .start_after = {},
                      .max_keys = 2};
  FirstKeys first;
  do {
    const auto page = TRY(fetch_page(requests, request));
    for (const auto& object : page.objects) first.keys.push_back(object.key);
    request.continuation_token = page.next_token;
    first.are_all = page.next_token.empty();
  } while (first.keys.size() < 2 && !first.are_all);
  return first;
}

}  // namespace spillway
