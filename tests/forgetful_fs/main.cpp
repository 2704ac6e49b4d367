// forgetful_fs MOUNTPOINT: a file system in memory that loses what was not synced when it is told
// to (operations.h says how). In the foreground; prints "mounted" once it is; SIGTERM unmounts it.
// It knows nothing of Spillway.
#include <array>
#include <cstdio>
#include <memory>

#include "tests/forgetful_fs/libfuse.h"
#include "tests/forgetful_fs/operations.h"

namespace {

struct DestroySession {
  void operator()(fuse_session* session) const { fuse_session_destroy(session); }
};
using Session = std::unique_ptr<fuse_session, DestroySession>;

Session make_session(const char* program, forgetful::Served& served) {
  std::array<const char*, 3> words{program, "-o", "fsname=forgetful_fs,subtype=forgetful_fs"};
  fuse_args arguments =
      FUSE_ARGS_INIT(static_cast<int>(words.size()), const_cast<char**>(words.data()));
  const fuse_lowlevel_ops operations = forgetful::operations();
  Session session(fuse_session_new(&arguments, &operations, sizeof operations, &served));
  fuse_opt_free_args(&arguments);
  return session;
}

int serve(fuse_session* session) {
  std::puts("mounted");
  std::fflush(stdout);
  return fuse_session_loop(session) < 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: forgetful_fs MOUNTPOINT\n", stderr);
    return 2;
  }
  forgetful::Served served;
  const Session session = make_session(argv[0], served);
  if (!session) return 1;
  if (fuse_set_signal_handlers(session.get()) != 0) return 1;
  if (fuse_session_mount(session.get(), argv[1]) != 0) return 1;
  const int code = serve(session.get());
  fuse_session_unmount(session.get());
  fuse_remove_signal_handlers(session.get());
  return code;
}
