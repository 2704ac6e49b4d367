// Failures on request: which calls they hit, and what they do to them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>

#include "tests/b2sim/http.h"

namespace b2sim {

// What is known of a request before anything is done for it.
struct CallName {
  std::string kind;  // "PutObject", "UploadPart", …
  std::string bucket;
  std::string key;
  std::string upload_id;
  std::string part;
};

enum class CutPlace { request, response };

// All that the faults that hit one call do to it.
struct Effect {
  std::chrono::milliseconds delay{0};
  std::optional<std::chrono::milliseconds> stall;
  bool stall_before_answer = false;  // after the request was carried out, else before
  bool close_after_stall = false;
  std::optional<CutPlace> cut;
  std::uint64_t cut_after = 0;
  std::uint64_t bytes_per_second = 0;  // 0: as fast as it goes
  std::optional<Answer> answer;        // instead of carrying the request out
  bool lost_answer = false;
  std::chrono::seconds clock_skew{0};
};

// Any thread.
class Faults {
 public:
  // Throws Refusal for what can't be understood. Returns the fault's id.
  int add(const nlohmann::json& description);
  bool remove(int id);
  void clear();
  [[nodiscard]] nlohmann::json list() const;

  // Counts the call for every fault it matches, and gathers what they do to it.
  [[nodiscard]] Effect strike(const CallName& call);

 private:
  struct Fault {
    nlohmann::json description;
    std::string kind = "*";
    std::string key;
    std::string upload_id;
    std::string part;
    std::int64_t nth = 1;
    std::int64_t times = 1;  // -1: for ever
    double rate = 1;
    std::mt19937_64 random;
    Effect effect;
    std::int64_t seen = 0;
    std::int64_t hits = 0;
    [[nodiscard]] bool matches(const CallName& call) const;
    [[nodiscard]] bool fires();
  };
  static Fault parse(const nlohmann::json& description);

  mutable std::mutex mutex_;
  std::map<int, Fault> faults_;  // guarded by mutex_
  int next_id_ = 1;              // guarded by mutex_
};

}  // namespace b2sim
