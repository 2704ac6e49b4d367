// What happens to a request: counted, struck by faults, authenticated, entitled, carried out.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tests/b2sim/exchange.h"
#include "tests/b2sim/faults.h"
#include "tests/b2sim/keys.h"
#include "tests/b2sim/rules.h"
#include "tests/b2sim/store.h"

namespace b2sim {

// Requests by kind, since the start or the last reset. Any thread.
class Counters {
 public:
  void count(const std::string& kind) {
    const std::lock_guard lock(mutex_);
    ++counts_[kind];
  }
  void reset() {
    const std::lock_guard lock(mutex_);
    counts_.clear();
  }
  [[nodiscard]] std::map<std::string, std::uint64_t> counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> counts_;  // guarded by mutex_
};

struct Settings {
  std::string region = "us-west-004";
  Limits limits;
  bool quiet = false;
};

// serve() may run on any number of threads at once.
class Service {
 public:
  Service(Settings settings, Store& store) : settings_(std::move(settings)), store_(store) {}

  // Answers one request. Throws Disconnected when the connection is to be forgotten.
  void serve(Exchange& exchange);

  [[nodiscard]] Store& store() { return store_; }
  [[nodiscard]] Keys& keys() { return keys_; }
  [[nodiscard]] Faults& faults() { return faults_; }
  [[nodiscard]] Counters& counters() { return counters_; }
  [[nodiscard]] Traffic& traffic() { return traffic_; }
  // The rule that GetBucketLifecycleConfiguration tells of; 0 days: none.
  void set_lifecycle(const std::string& bucket, int abort_after_days);

 private:
  [[nodiscard]] Answer carry_out(Exchange& exchange, const CallName& name, const Effect& effect);
  [[nodiscard]] Answer perform(Exchange& exchange, const CallName& name, const Effect& effect);
  [[nodiscard]] Answer lifecycle_of(const std::string& bucket) const;
  void log(const CallName& name, int status) const;

  Settings settings_;
  Store& store_;
  Keys keys_;
  Faults faults_;
  Counters counters_;
  Traffic traffic_;
  mutable std::mutex mutex_;
  std::map<std::string, int> lifecycles_;  // bucket to days; guarded by mutex_
};

}  // namespace b2sim
