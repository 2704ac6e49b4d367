// Facade, continued: one function for each kind of call.
#include "tests/simulation/facade.h"

namespace spillway::testing {
namespace {

constexpr std::uint64_t kPart = 64;

Path path_of(const std::string& text) { return *Path::parse(text); }

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

AttributeChange size_change(std::uint64_t size) {
  AttributeChange change;
  change.size = size;
  return change;
}

template <class Value>
Result<> without_value(Result<Value> result) {
  if (result.ok()) return {};
  return fail(std::move(result).error());
}

}  // namespace

void Facade::do_something() {
  switch (below(20)) {
    case 0:
    case 1:
    case 2: return create();
    case 3: return open();
    case 4:
    case 5:
    case 6:
    case 7: return write();
    case 8: return read();
    case 9: return change_size();
    case 10: return sync();
    case 11:
    case 12: return close();
    case 13: return remove();
    case 14:
    case 15: return rename();
    case 16: return make();
    case 17: return change_attributes();
    case 18: return change_xattrs();
    default: return list();
  }
}

// open(2) with O_CREAT: the kernel makes it an open where the name is there.
void Facade::create() {
  const std::string path = some_path();
  const auto there = kind(path);
  if (!has_parent(path) || (there && *there != FileKind::regular) || pairs_.size() > 5) return;
  OpenFlags flags{.read = true, .write = true, .append = chance(20), .truncate = chance(50)};
  if (!there) flags.exclusive = chance(30);
  Pair pair{path, nullptr, nullptr, flags};
  both("create " + path, {path}, [&](FileSystem& tree) -> Result<> {
    auto opened = there ? tree.open(path_of(path), flags, {})
                        : tree.create(path_of(path), 0644, flags, {});
    if (!opened.ok()) return fail(opened.error());
    (&tree == engine_ ? pair.engine : pair.plain) = opened->handle;
    return {};
  });
  if (!there || flags.truncate) timed_.erase(path);
  if (pair.engine != nullptr && pair.plain != nullptr) pairs_.push_back(pair);
}

void Facade::open() {
  const std::string path = some_path();
  if (kind(path) != FileKind::regular || pairs_.size() > 5) return;
  const OpenFlags flags{.read = true, .write = chance(60)};
  Pair pair{path, nullptr, nullptr, flags};
  both("open " + path, {path}, [&](FileSystem& tree) -> Result<> {
    auto opened = tree.open(path_of(path), flags, {});
    if (!opened.ok()) return fail(opened.error());
    (&tree == engine_ ? pair.engine : pair.plain) = opened->handle;
    return {};
  });
  if (pair.engine != nullptr && pair.plain != nullptr) pairs_.push_back(pair);
}

void Facade::write() {
  Pair* pair = some_pair();
  if (pair == nullptr || !pair->flags.write) return;
  const std::string piece = random_bytes(1 + below(2 * kPart));
  const std::uint64_t at = below(4 * kPart);
  timed_.erase(pair->path);
  both_handles(*pair, "write " + std::to_string(piece.size()) + " at " + std::to_string(at),
               [&](FileSystem& tree, FileHandle& handle) {
                 return tree.write(handle, at, bytes_of(piece));
               });
}

void Facade::read() {
  Pair* pair = some_pair();
  if (pair == nullptr) return;
  const std::uint64_t at = below(5 * kPart);
  const std::size_t size = 1 + below(3 * kPart);
  std::string got[2];
  const bool done = both_handles(
      *pair, "read " + std::to_string(size) + " at " + std::to_string(at),
      [&](FileSystem& tree, FileHandle& handle) -> Result<> {
        std::string& bytes = got[&tree == engine_ ? 0 : 1];
        bytes.assign(size, ' ');
        const auto count = tree.read(handle, at, std::as_writable_bytes(std::span(bytes)));
        if (!count.ok()) return fail(count.error());
        bytes.resize(*count);
        return {};
      });
  if (done) {
    EXPECT_EQ(got[0], got[1]);
  }
}

void Facade::change_size() {
  const std::uint64_t size = below(5 * kPart);
  Pair* pair = chance(60) ? some_pair() : nullptr;
  if (pair != nullptr && pair->flags.write) {
    timed_.erase(pair->path);
    const bool allocates = chance(30);
    both_handles(*pair, (allocates ? "fallocate " : "ftruncate ") + std::to_string(size),
                 [&](FileSystem& tree, FileHandle& handle) -> Result<> {
                   if (allocates) {
                     return tree.allocate(handle, FileSystem::Allocation::grow, size / 2, size);
                   }
                   return without_value(
                       tree.set_attributes({}, &handle, size_change(size), {}));
                 });
    return;
  }
  const std::string path = some_path();
  if (kind(path) != FileKind::regular) return;
  timed_.erase(path);
  both("truncate " + path + " to " + std::to_string(size), {path}, [&](FileSystem& tree) {
    return without_value(
        tree.set_attributes(path_of(path), nullptr, size_change(size), {}));
  });
}

void Facade::sync() {
  if (Pair* pair = some_pair()) {
    both_handles(*pair, "fsync",
                 [](FileSystem& tree, FileHandle& handle) { return tree.fsync(handle); });
  }
}

void Facade::close() {
  Pair* pair = some_pair();
  if (pair == nullptr) return;
  const Pair closed = *pair;
  const bool done = both_handles(*pair, "close", [](FileSystem& tree, FileHandle& handle) {
    return tree.flush(handle, {});
  });
  if (!done) return;
  engine_->release(closed.engine);
  plain_.release(closed.plain);
  std::erase_if(pairs_, [&](const Pair& each) { return each.engine == closed.engine; });
}

void Facade::remove() {
  const std::string path = some_path();
  const auto there = kind(path);
  if (!there) return;
  if (*there == FileKind::directory) {
    return both("rmdir " + path, {path},
                [&](FileSystem& tree) { return tree.remove_directory(path_of(path)); });
  }
  both("unlink " + path, {path}, [&](FileSystem& tree) { return tree.unlink(path_of(path)); });
  if (kind(path)) return;
  timed_.erase(path);
  for (Pair& pair : pairs_) {
    if (pair.path == path) pair.path.clear();
  }
}

void Facade::rename() {
  const std::string from = some_path();
  const std::string to = some_path();
  const auto source = kind(from);
  const auto target = kind(to);
  const bool is_in_itself = to.starts_with(from + "/") || from.starts_with(to + "/");
  if (!source || !has_parent(to) || from == to || is_in_itself) return;
  const bool both_are = *source == FileKind::directory && target == FileKind::directory;
  if (target && !both_are && (*source == FileKind::directory || target == FileKind::directory)) return;
  const RenameMode mode = chance(20) ? RenameMode::no_replace : RenameMode::replace;
  both("rename " + from + " to " + to, {from, to}, [&](FileSystem& tree) {
    return tree.rename(path_of(from), path_of(to), mode);
  });
  if (!kind(from)) follow(from, to);
}

void Facade::make() {
  const std::string path = some_path();
  if (!has_parent(path) || kind(path)) return;
  timed_.erase(path);
  const std::uint64_t what = below(6);
  both("make " + path, {path}, [&](FileSystem& tree) {
    if (what == 0) return without_value(tree.make_symlink(path_of(path), "target of " + path, {}));
    if (what == 1) return without_value(tree.make_special(path_of(path), FileKind::fifo, 0600, {}));
    return without_value(tree.make_directory(path_of(path), 0755, {}));
  });
}

void Facade::change_attributes() {
  const std::string path = some_path();
  const auto there = kind(path);
  if (!there) return;
  AttributeChange change;
  if (chance(50) && *there != FileKind::symlink) {
    change.permissions = static_cast<std::uint32_t>(below(01000));
  }
  if (chance(30)) change.uid = static_cast<std::uint32_t>(below(1'000));
  if (chance(30)) change.gid = static_cast<std::uint32_t>(below(1'000));
  if (chance(50)) change.mtime = WallTime(seconds(1'000'000'000) + milliseconds(below(1'000'000)));
  both("set attributes of " + path, {path}, [&](FileSystem& tree) {
    return without_value(tree.set_attributes(path_of(path), nullptr, change, {}));
  });
  if (change.mtime && plain_.attributes_of(path).mtime == *change.mtime) timed_.insert(path);
}

void Facade::change_xattrs() {
  const std::string path = some_path();
  const auto there = kind(path);
  if (there != FileKind::regular && there != FileKind::directory) return;
  const std::string name = chance(50) ? "user.one" : "user.two";
  const std::string value = random_bytes(below(20));
  const bool removes = chance(30);
  const auto mode = static_cast<XattrMode>(below(3));
  both((removes ? "remove " : "set ") + name + " of " + path, {path}, [&](FileSystem& tree) {
    if (removes) return tree.remove_xattr(path_of(path), name);
    return tree.set_xattr(path_of(path), name, value, mode);
  });
}

void Facade::list() {
  const std::string path = some_path();
  if (sky_ != Sky::always_fine || kind(path) != FileKind::directory) return;
  EXPECT_EQ(names_below(*engine_, path), names_below(plain_, path)) << "in " << path;
}

}  // namespace spillway::testing
