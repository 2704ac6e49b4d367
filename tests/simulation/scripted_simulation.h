// The engine's simulation with programs that do what a script says, where random ones come to it too
// seldom. What fails is what the plan names; nothing crashes.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/engine_simulation.h"

namespace spillway::testing {

class ScriptedSimulation : public Simulation {
 public:
  ScriptedSimulation(std::uint64_t seed, const Plan& plan) : Simulation(seed, plan) {}

 protected:
  virtual void act(FileSystem& file_system) = 0;

  void use(FileSystem& file_system, bool) override { act(file_system); }

  // At once, each as a program of its own.
  void together(const std::vector<std::function<void()>>& programs) {
    Guarded<std::size_t> working(*executor_, programs.size());
    for (const auto& program : programs) {
      executor_->submit([&] {
        program();
        auto count = working.lock();
        --*count;
        count.notify_all();
      });
    }
    auto count = working.lock();
    count.wait([&] { return *count == 0; });
  }

  // Opens a file that is not there, or that is replaced; null where that fails.
  FileHandle* begin(FileSystem& file_system, const std::string& name) {
    modes_[name].insert(kNewMode);
    maybe(name, "");
    OpenFlags flags{.read = true, .write = true, .truncate = true};
    flags.exclusive = name.starts_with('.');
    const auto opened = file_system.create(*Path::parse(name), kNewMode, flags, {});
    return opened.ok() ? opened->handle : nullptr;
  }
  void write(FileSystem& file_system, const std::string& name, const std::string& content) {
    maybe(name, content);
    FileHandle* handle = begin(file_system, name);
    if (handle == nullptr) return;
    const bool well = file_system.write(*handle, 0, bytes_of(content)).ok();
    // Also a held one is promised: nothing crashes.
    if (file_system.flush(*handle, {}).ok() && well) surely(name, content);
    file_system.release(handle);
  }
};

// Objects of several parts are replaced: by others of the same size, and by later versions of
// themselves while they are open.
class ReplacedParts final : public ScriptedSimulation {
 public:
  using ScriptedSimulation::ScriptedSimulation;

 private:
  void act(FileSystem& file_system) override {
    write(file_system, "a", random_bytes(kSize));
    write(file_system, "a", random_bytes(kSize));
    write_twice(file_system, "b");
  }
  void write_twice(FileSystem& file_system, const std::string& name) {
    const std::string first = random_bytes(kSize);
    const std::string second = random_bytes(kSize);
    maybe(name, first);
    maybe(name, second);
    FileHandle* handle = begin(file_system, name);
    if (handle == nullptr) return;
    bool well = file_system.write(*handle, 0, bytes_of(first)).ok();
    if (well && file_system.fsync(*handle).ok()) {
      surely(name, first);
      maybe(name, second);
    }
    well = well && file_system.write(*handle, 0, bytes_of(second)).ok();
    if (file_system.flush(*handle, {}).ok() && well) surely(name, second);
    file_system.release(handle);
  }
  static constexpr std::size_t kSize = 4 * kPart;
};

// What is in B2 gets other names: a first version, whose source goes by its id; a later one, whose
// source is hidden first, over another file.
class RenamedObjects final : public ScriptedSimulation {
 public:
  using ScriptedSimulation::ScriptedSimulation;

 private:
  void act(FileSystem& file_system) override {
    write(file_system, "a", random_bytes(kPart / 2));
    write(file_system, "b", random_bytes(3 * kPart));
    write(file_system, "b", random_bytes(3 * kPart));
    write(file_system, "d/e", random_bytes(kPart));
    executor_->sleep(seconds(30));  // what had to wait is in B2
    rename(file_system, "a", "d/c");
    rename(file_system, "b", "d/e");
  }
};

// A temporary file is closed, and waits for its rename over another one. The rename comes as its time
// is up, or as another program opens the file.
class HeldFile final : public ScriptedSimulation {
 public:
  enum class End : std::uint8_t { time_is_up, opened };
  // `lead`: of the rename.
  HeldFile(std::uint64_t seed, const Plan& plan, End end, Duration lead)
      : ScriptedSimulation(seed, plan), end_(end), lead_(lead) {}

 private:
  void act(FileSystem& file_system) override {
    write(file_system, kTarget, random_bytes(kPart));
    // B2 is asked again then what is there, with the names locked: a rename takes its time.
    executor_->sleep(seconds(10));
    write(file_system, kTemporary, random_bytes(kPart / 2));
    const Instant closed = executor_->clock().now();
    const Instant ends = closed + (end_ == End::time_is_up ? kHoldTime : seconds(1));
    together({[&] {
                sleep_until(ends - lead_);
                rename(file_system, kTemporary, kTarget);
              },
              [&] {
                sleep_until(ends);
                if (end_ == End::opened) look(file_system);
              }});
  }
  void sleep_until(Instant when) { executor_->sleep(when - executor_->clock().now()); }
  void look(FileSystem& file_system) {
    const Caller another{.pid = 7};
    const auto opened = file_system.open(*Path::parse(kTemporary), {.read = true}, another);
    if (opened.ok()) file_system.release(opened->handle);
  }

  static constexpr const char* kTemporary = ".x.abc123";
  static constexpr const char* kTarget = "d/c";
  static constexpr Duration kHoldTime = seconds(5);
  const End end_;
  const Duration lead_;
};

}  // namespace spillway::testing
