// A shadow on a disk in memory, and a plain model of what it must hold.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/executor.h"
#include "src/hash.h"
#include "src/log.h"
#include "src/shadow.h"
#include "tests/support/memory_disk.h"

namespace spillway {

// Keeps the names and fields of all events.
class RecordingLog final : public Log {
 public:
  void event(Level level, std::string_view event, Fields fields) override;
  void reopen() override {}
  [[nodiscard]] std::size_t count(std::string_view event) const;
  [[nodiscard]] Fields last(std::string_view event) const;  // null where there was none

 private:
  struct Line {
    std::string event;
    Fields fields;
  };
  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};

[[nodiscard]] Path path_of(std::string_view text);  // aborts on one that can't be a path

// What a file of the shadow is, as far as the model goes. The note is kept in the record's reason.
struct ModelFile {
  std::string content;
  std::string note;
  friend bool operator==(const ModelFile&, const ModelFile&) = default;
};
using ModelTree = std::map<std::string, ModelFile>;

// One call of the shadow, and what it does to the model.
struct ShadowStep {
  enum class Kind { publish, remove, rename, update } kind = Kind::publish;
  std::string path;
  std::string to;        // rename
  std::string content;   // publish
  std::string note;      // publish and update
};
[[nodiscard]] ModelTree after(ModelTree tree, const ShadowStep& step);
[[nodiscard]] bool is_possible(const ModelTree& tree, const ShadowStep& step);

class ShadowRig {
 public:
  explicit ShadowRig(ShadowSettings settings = {.identity = "endpoint/bucket",
                                                .limit_bytes = 0,
                                                .reserve_bytes = 0});
  ~ShadowRig();

  MemoryDisk disk;
  RecordingLog log;
  std::unique_ptr<Shadow> shadow;
  ShadowSettings settings;

  Result<> open();
  // As if the process had been killed, or the power had gone.
  void kill();
  void power_cut(std::uint64_t seed);

  Result<ShadowRecord> publish(std::string_view path, std::string_view content,
                               std::string_view note = "");
  Result<> carry_out(const ShadowStep& step);
  // What the shadow says and holds. Fails where a file can't be read, or where location_of() does
  // not name a file with its bytes.
  Result<ModelTree> state();
  Result<std::string> content(const ShadowRecord& record);
  [[nodiscard]] std::string id_at(std::string_view path);  // "" where there is no record
  [[nodiscard]] const Hashing& hashing() const { return *hashing_; }
  [[nodiscard]] Executor& executor() { return *executor_; }

 private:
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Hashing> hashing_;
};

// A file of several blocks, different for each seed, always of the same size.
[[nodiscard]] std::string some_content(std::uint64_t seed, std::size_t size = 9'000);

}  // namespace spillway
