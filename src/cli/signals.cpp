#include "src/cli/signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <utility>

#include "src/guarded.h"

namespace spillway::cli {
namespace {

sigset_t held_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

class Watch final : public SignalWatch {
 public:
  Watch(SignalActions actions, Executor& executor)
      : actions_(std::move(actions)), ended_(executor, false) {
    const sigset_t set = held_signals();
    signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    end_ = eventfd(0, EFD_CLOEXEC);
    executor.submit([this] { watch(); });
  }
  ~Watch() override {
    eventfd_write(end_, 1);
    {
      auto ended = ended_.lock();
      ended.wait([&] { return *ended; });
    }
    close(end_);
    close(signals_);
  }

 private:
  void watch() {
    std::array<pollfd, 2> wanted{pollfd{.fd = signals_, .events = POLLIN, .revents = 0},
                                 pollfd{.fd = end_, .events = POLLIN, .revents = 0}};
    while (true) {
      if (poll(wanted.data(), wanted.size(), -1) < 0) continue;
      if (wanted[1].revents != 0) break;
      signalfd_siginfo signal{};
      if (read(signals_, &signal, sizeof signal) == sizeof signal) act_on(signal.ssi_signo);
    }
    auto ended = ended_.lock();
    *ended = true;
    ended.notify_all();
  }
  void act_on(std::uint32_t signal) const {
    if (signal == SIGHUP) return actions_.reload();
    actions_.terminate();
  }

  SignalActions actions_;
  Guarded<bool> ended_;
  int signals_ = -1;
  int end_ = -1;
};

}  // namespace

void hold_signals() {
  const sigset_t set = held_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

bool is_asked_to_end() {
  sigset_t waiting;
  if (sigpending(&waiting) != 0) return false;
  return sigismember(&waiting, SIGINT) == 1 || sigismember(&waiting, SIGTERM) == 1 ||
         sigismember(&waiting, SIGHUP) == 1;
}

std::unique_ptr<SignalWatch> watch_signals(SignalActions actions, Executor& executor) {
  return std::make_unique<Watch>(std::move(actions), executor);
}

}  // namespace spillway::cli
