// How B2 is doing, as the uploads see it: the breaker that keeps an outage from costing every file
// the whole retry time, how many uploads go at once, and the words for `user.b2.state`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/executor.h"
#include "src/guarded.h"
#include "src/log.h"
#include "src/policy.h"
#include "src/requests.h"

namespace spillway {

enum class ServiceState : std::uint8_t { ok, degraded, local_only };
[[nodiscard]] std::string_view to_string(ServiceState state);

// How the start found B2.
struct ServiceAtStart {
  using State = ServiceState;
  ServiceState state = ServiceState::ok;
  // degraded, local_only: what files that divert meanwhile carry as their reason.
  std::optional<Error> reason;
};

// All methods may be called from any thread.
class Service {
 public:
  Service(Executor& executor, Log& log, Requests& requests, const ServiceAtStart& start,
          Duration cooldown, int uploads_at_once);

  struct Admission {
    std::optional<Error> refused;  // go to the shadow at once, with this reason
    bool is_probe = false;         // try once, without retries
  };
  // Before an upload sends its first byte. Every admission ends in upload_ended().
  [[nodiscard]] Admission admit();
  // `failure`: what made it give up; empty when B2 took it. Logs b2_degraded and b2_recovered.
  void upload_ended(const Admission& admission, const std::optional<Error>& failure);

  // The upload was given up by its own side: nothing was learnt about B2.
  void upload_abandoned(const Admission& admission);

  // What an upload that begins now would be told.
  enum class Readiness : std::uint8_t { open, probe, closed };
  [[nodiscard]] Readiness readiness();
  // Why uploads go to the shadow just now, if they do.
  [[nodiscard]] std::optional<Error> outage();
  // The cool-down is over now.
  void probe_now();

  // Leave to make one request that carries bytes; waits for one. Gives it back when destroyed.
  class Slot {
   public:
    explicit Slot(Service& service) : service_(&service) {}
    Slot(Slot&& other) noexcept : service_(std::exchange(other.service_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot();

   private:
    Service* service_;
  };
  [[nodiscard]] Slot take_slot();
  // B2 asked for less: half as many at once from now on, growing back by one a second.
  void slow_down();

  [[nodiscard]] ServiceState state();
  [[nodiscard]] std::optional<Error> last_error();
  void set_last_error(const Error& error);

 private:
  struct State {
    explicit State(Duration cooldown, int most) : breaker(cooldown), most_slots(most), slots(most) {}
    Breaker breaker;
    int most_slots;
    int slots;
    int slots_taken = 0;
    Instant last_change{};
    std::optional<Error> last_error;
  };
  void give_back_slot();
  void grow_slots(State& state);

  Executor& executor_;
  Log& log_;
  Requests& requests_;
  const ServiceAtStart start_;
  Guarded<State> state_;
};

}  // namespace spillway
