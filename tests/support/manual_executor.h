// An Executor whose time stands still until the test moves it. Jobs run on real threads; whoever
// waits for a point in time goes on when the test has stepped there.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "src/executor.h"

namespace spillway {

class ManualExecutor final : public Executor {
 public:
  explicit ManualExecutor(std::size_t workers = 8);
  ~ManualExecutor() override;
  ManualExecutor(const ManualExecutor&) = delete;
  ManualExecutor& operator=(const ManualExecutor&) = delete;

  void submit(Job job) override;
  void submit_at(Instant when, Job job) override;
  [[nodiscard]] std::unique_ptr<Monitor> make_monitor() override;
  [[nodiscard]] const Clock& clock() const override;

  void step(Duration duration);
  // The earliest point that a thread or a timer waits for.
  [[nodiscard]] std::optional<Instant> next_deadline() const;
  // Runs `work` on a thread of its own, and moves time on to the next deadline whenever there is
  // one, until `work` is done.
  void pass_time_during(const std::function<void()>& work);

 private:
  struct Time;
  std::shared_ptr<Time> time_;
  std::unique_ptr<Executor> threads_;
};

}  // namespace spillway
